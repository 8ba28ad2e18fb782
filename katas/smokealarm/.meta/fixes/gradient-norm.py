# Gradients know first.

# %% id="alarm"
def make_alarm():
    def alarm(t):
        norm = t["grad_norm_per_rank"].max(1)
        return len(norm) > 10 and norm[-1] > 2.5 * np.median(norm[-30:-1])

    return alarm
