# The loss of each step instead of means of five: nothing is averaged away.

# %% id="alarm"
def make_alarm():
    def alarm(t):
        loss = t["loss_logged"]
        return len(loss) > 10 and loss[-1] > np.median(loss[-30:-1]) + 0.2

    return alarm
