"""The ground: a kata's folder, its notebook, its scene files, the scaffold, and what can be wrong with them."""
