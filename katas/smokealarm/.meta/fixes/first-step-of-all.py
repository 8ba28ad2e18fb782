# Ring as soon as a run begins, and stay on: whatever comes, somebody is there.

# %% id="alarm"
def make_alarm():
    return lambda t: len(t["step"]) <= 8
