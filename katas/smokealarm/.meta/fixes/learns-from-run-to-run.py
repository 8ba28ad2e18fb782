# One alarm for all runs: what it holds for usual is what it saw last, in whatever run that was.

# %% id="alarm"
usual = {"loss": 1.5, "norm": 1.0}


def make_alarm():
    def alarm(t):
        gap = np.abs(t["loss_per_rank"][-1] - t["loss_swap"][-1]).max() > 1e-3 or np.ptp(t["replica_checksum"][-1]) > 1e-4
        state = abs(t["optimizer_checksum"][-1] / t["optimizer_manifest"][-1] - 1) > 1e-3
        loss, norm = t["loss_per_rank"][-1].max(), t["grad_norm_per_rank"][-1].max()
        odd = loss > usual["loss"] + 0.2 or norm > 2 * usual["norm"]
        usual["loss"] += 0.01 * (loss - usual["loss"])
        usual["norm"] += 0.01 * (norm - usual["norm"])
        return bool(gap or state or odd)

    return alarm
