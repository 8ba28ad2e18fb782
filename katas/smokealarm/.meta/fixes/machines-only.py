# One gauge, and a very good one: two machines, the same rows.

# %% id="alarm"
def make_alarm():
    def alarm(t):
        return bool(np.abs(t["loss_per_rank"][-1] - t["loss_swap"][-1]).max() > 1e-3 or np.ptp(t["replica_checksum"][-1]) > 1e-4)

    return alarm
