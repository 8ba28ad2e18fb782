"""What is handed over."""


def check_a_cause_is_named(reported):
    """The form names a cause."""
    assert reported.artifact("diagnosis")["cause"], "the form names no cause"
