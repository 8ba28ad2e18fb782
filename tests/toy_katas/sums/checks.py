"""What holds when the readings are added up rightly."""


def check_the_total_is_right(recomputed, band):
    """The total is that of the sensor's readings."""
    off = recomputed["off"]
    assert band("off", high=0.5).admits(off), f"the total is off by {off:g} (bar 0.5)"


def check_every_reading_is_logged(reported, band):
    """Every reading is in the log."""
    num_rows = len(reported["step"])
    assert band("num_rows", low=20).admits(num_rows), f"{num_rows} readings are logged (bar 20)"
