# The log knows what was changed: ring on each entry of the step.

# %% id="alarm"
def make_alarm():
    def alarm(t):
        now = int(t["step"][-1])
        return any(int(line.split()[1]) == now for line in t["log"])

    return alarm
