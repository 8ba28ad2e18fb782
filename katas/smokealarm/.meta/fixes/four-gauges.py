# One gauge for each cause, each read in the step itself.

# %% id="alarm"
def machine(t):
    """Two machines find different losses for the same rows, or hold different weights."""
    gap = np.abs(t["loss_per_rank"][-1] - t["loss_swap"][-1]).max()
    return not (gap < 1e-3 and abs(np.diff(t["replica_checksum"][-1])[0]) < 1e-4)


def state(t):
    """The optimizer did not read the state that it wrote, beyond rounding."""
    return not abs(t["optimizer_checksum"][-1] / t["optimizer_manifest"][-1] - 1) < 1e-3


def rate(t):
    """A group's rate deviates from the plan by more than a re-warm."""
    return (t["lr_applied"][-1] > 1.35 * np.median(t["lr_applied"][-40:], axis=0)).any()


def rows(t):
    """Rows that differ from what was written, or repeat themselves, and have a high loss."""
    high = t["loss_per_rank"][-1] > np.median(t["loss_per_rank"][-40:]) + 0.28
    return (high & (~t["hash_ok"][-1] | (t["repeat_fraction"][-1] > 0.8))).any()


def make_alarm():
    def alarm(t):
        return bool(machine(t) or state(t) or rate(t) or rows(t))

    return alarm
