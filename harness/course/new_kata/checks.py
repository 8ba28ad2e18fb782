"""What holds in a repaired run. Learners read this: names claim health, in neutral words; messages are evidence, never a remedy.

A check is a function check_* and takes what it rests on as arguments:
    reported    what the run says of itself: reported["train_loss"] is a column over steps, reported.artifact("name") a JSON artifact.
                It may fail a run; alone it must never pass one.
    recomputed  what .meta/oracle.py measured itself, by name
    truth       what truth(seed) of .meta/scene.py returned, as far as it is plain values
    seed        the seed of this run
    band        the values that a right run may have: band("measure", low=, high=) for thresholds that the task sets, low_sd= and
                high_sd= for thresholds that many standard deviations from the healthy mean (at least 6). .admits(value) says whether a
                value lies inside and records the margin; f"{band}" is the band in words.
The first line of the docstring is what a learner sees of a check that passes.
"""


def check_the_total_is_right(recomputed, band):
    """The total is that of the sensor's readings."""
    off = recomputed["off"]
    right = band("off", high=0.5)
    assert right.admits(off), f"the total is off by {off:g} (threshold: {right})"


def check_every_reading_is_logged(reported, band):
    """Every reading is in the log."""
    num_rows = len(reported["step"])
    right = band("num_rows", low=20)
    assert right.admits(num_rows), f"{num_rows} readings are logged (threshold: {right})"
