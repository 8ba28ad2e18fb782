# What moves the weights too far is wrong, whatever it is.

# %% id="alarm"
def make_alarm():
    def alarm(t):
        ratio = t["update_ratio"]
        return len(ratio) > 10 and ratio[-1] > 1.5 * np.median(ratio[-30:-1])

    return alarm
