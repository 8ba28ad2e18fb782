# The bar on the dashboard's loss is lowered, so that less gets by.

# %% id="alarm"
def make_alarm():
    def alarm(t):
        loss = t["public_loss"]
        return len(loss) > 4 and loss[-1] > np.median(loss[-9:-1]) + 0.04

    return alarm
