"""What holds when the readings are added up."""


def check_the_total_is_right(recomputed, band):
    """The total is that of all readings."""
    off = recomputed["off"]
    assert band("off", high=0.5).admits(off), f"the total is off by {off:g} (threshold 0.5)"
