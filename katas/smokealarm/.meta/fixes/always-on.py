# Nothing is missed by whoever never sleeps.

# %% id="alarm"
def make_alarm():
    return lambda t: True
