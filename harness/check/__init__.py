"""One attempt: preflight, public seed, held-out seeds, history, feedback."""
