# Most steps are calm.

# %% id="alarm"
def make_alarm():
    return lambda t: False
