# Cumulative sums: each column's excess over its allowed drift is added up, and decays.

# %% id="alarm"
DRIFT, LIMIT = 1.0, 3.0


class Sum:
    def __init__(self):
        self.value = 0.0

    def add(self, x):
        """Add the excess of x (in units of its tolerance) over the drift; a non-finite x counts as large."""
        x = float(x) if np.isfinite(x) else 100.0
        self.value = min(max(0.0, 0.7 * self.value + x - DRIFT), 10.0)
        return self.value > LIMIT


def make_alarm():
    sums = {name: Sum() for name in ("swap", "weights", "state", "rate", "update", "rows", "same")}

    def alarm(t):
        if len(t["step"]) < 6:
            return False
        usual = np.median(t["loss_per_rank"][-30:])
        update = np.log(t["update_ratio"][-1] / np.median(t["update_ratio"][-30:-1]))
        plan = np.log(t["lr_applied"][-1] / np.median(t["lr_applied"][-30:-1], axis=0)).max()
        wrong_rows = (t["loss_per_rank"][-1] - usual) * ~t["hash_ok"][-1]
        ringing = [
            sums["swap"].add(np.abs(t["loss_per_rank"][-1] - t["loss_swap"][-1]).max() / 3e-4),
            sums["weights"].add(np.ptp(t["replica_checksum"][-1]) / 3e-5),
            sums["state"].add(abs(t["optimizer_checksum"][-1] / t["optimizer_manifest"][-1] - 1) / 2e-4),
            sums["rate"].add(plan / 0.1),
            sums["update"].add(update / 0.5),
            sums["rows"].add(wrong_rows.max() / 0.08),
            sums["same"].add(((t["loss_per_rank"][-1] - usual) * (t["repeat_fraction"][-1] > 0.8)).max() / 0.08),
        ]
        return any(ringing)

    return alarm
