# The steps at which the stored runs went wrong, give or take two.

# %% id="alarm"
KNOWN = {answer["first_bad_step"] + d for answer in answers if answer["first_bad_step"] for d in range(3)}


def make_alarm():
    return lambda t: int(t["step"][-1]) in KNOWN
