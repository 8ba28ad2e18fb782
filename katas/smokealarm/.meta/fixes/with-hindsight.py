# The right gauges, read in the middle of a window of nine that must be odd throughout: sure, and half a window late.

# %% id="alarm"
def odd(t, at):
    gap = np.abs(t["loss_per_rank"][at] - t["loss_swap"][at]).max() > 1e-3 or np.ptp(t["replica_checksum"][at]) > 1e-4
    state = abs(t["optimizer_checksum"][at] / t["optimizer_manifest"][at] - 1) > 1e-3
    rate = (t["lr_applied"][at] > 1.35 * np.median(t["lr_applied"][:at], axis=0)).any()
    high = t["loss_per_rank"][at] > np.median(t["loss_per_rank"][:at]) + 0.28
    return gap or state or rate or (high & (~t["hash_ok"][at] | (t["repeat_fraction"][at] > 0.8))).any()


def make_alarm():
    def alarm(t):
        now = len(t["step"]) - 1
        return now > 20 and sum(odd(t, at) for at in range(now - 8, now + 1)) >= 6

    return alarm
