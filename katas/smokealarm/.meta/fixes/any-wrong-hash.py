# The right gauges for machine, state and rate; for the rows, any hash that is wrong, whatever the loss.

# %% id="alarm"
def make_alarm():
    def alarm(t):
        gap = np.abs(t["loss_per_rank"][-1] - t["loss_swap"][-1]).max() > 1e-3 or np.ptp(t["replica_checksum"][-1]) > 1e-4
        state = abs(t["optimizer_checksum"][-1] / t["optimizer_manifest"][-1] - 1) > 1e-3
        rate = (t["lr_applied"][-1] > 1.35 * np.median(t["lr_applied"][-40:], axis=0)).any()
        return bool(gap or state or rate or not t["hash_ok"][-1].all())

    return alarm
