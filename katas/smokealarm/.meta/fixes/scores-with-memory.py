# No rule per kind: how unusual is this step, in several columns, against the run's own past? A single odd step must be very odd.

# %% id="alarm"
FLOORS = {"gap": 1e-4, "apart": 1e-5, "state": 1e-4, "rate": 0.05, "unsigned": 0.05, "repeats": 0.05}


def signals(t):
    """Return a step's measurements by name; close to zero in a sound step, except the rate."""
    excess = t["loss_per_rank"][-1] - np.median(t["loss_per_rank"][-50:])
    return {
        "gap": np.abs(t["loss_per_rank"][-1] - t["loss_swap"][-1]).max(),
        "apart": np.ptp(t["replica_checksum"][-1]),
        "state": abs(np.log(t["optimizer_checksum"][-1] / t["optimizer_manifest"][-1])) if t["optimizer_manifest"][-1] else 0.0,
        "rate": np.log(t["lr_applied"][-1]).max(),
        "unsigned": max(0.0, *(excess * ~t["hash_ok"][-1])),
        "repeats": max(0.0, *(excess * (t["repeat_fraction"][-1] > 0.8))),
    }


def make_alarm():
    past, high = {name: [] for name in FLOORS}, []

    def score(name, value):
        calm = past[name][-40:]
        if len(calm) < 8:
            return 0.0
        middle = np.median(calm)
        return (value - middle) / max(1.4826 * np.median(np.abs(np.array(calm) - middle)), FLOORS[name])

    def alarm(t):
        now = signals(t)
        worst = max(score(name, value) for name, value in now.items())
        high.append(worst > 4.7)
        if worst <= 4.7:  # unusual steps do not enter the baseline
            for name, value in now.items():
                past[name].append(value)
        return bool(worst > 7 or sum(high[-3:]) >= 2)

    return alarm
