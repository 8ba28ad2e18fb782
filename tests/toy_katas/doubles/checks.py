"""A kata without telemetry, whose repair is behaviour."""


def check_every_answer_is_right(recomputed, band):
    """Every number is doubled."""
    wrong = recomputed["wrong_answers"]
    assert band("wrong_answers", high=0).admits(wrong), f"{wrong:.0f} of 8 answers are wrong"
