def check_nothing(reported):
    """Nothing is asked."""
    assert reported["step"].size
