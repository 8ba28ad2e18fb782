# The right gauges, but for the rate, which is read where everybody reads it.

# %% id="alarm"
def make_alarm():
    def alarm(t):
        gap = np.abs(t["loss_per_rank"][-1] - t["loss_swap"][-1]).max() > 1e-3 or np.ptp(t["replica_checksum"][-1]) > 1e-4
        state = abs(t["optimizer_checksum"][-1] / t["optimizer_manifest"][-1] - 1) > 1e-3
        rate = t["lr_logged"][-1] > 1.35 * np.median(t["lr_logged"][-40:])
        high = t["loss_per_rank"][-1] > np.median(t["loss_per_rank"][-40:]) + 0.28
        rows = (high & (~t["hash_ok"][-1] | (t["repeat_fraction"][-1] > 0.8))).any()
        return bool(gap or state or rate or rows)

    return alarm
