# A mean over twenty steps hardly ever errs.

# %% id="alarm"
def make_alarm():
    def alarm(t):
        loss, val = t["loss_logged"], t["val_loss"]
        if len(loss) < 45:
            return False
        return bool(loss[-20:].mean() > loss[-45:-20].mean() + 0.1 or val[-20:].mean() > val[-45:-20].mean() + 0.1)

    return alarm
