# Test the machines first, then the update, then the rows.

# %% id="features"
CALM = 20  # steps before which nothing has happened yet
ACTIONS = {"data": "quarantine", "lr": "restore_schedule", "opt": "restore_optimizer", "hw": "cordon_rank", "benign": "continue"}


def reply(t, cause, at, place=None, confidence=0.95, action=None, abstain=False):
    return {
        "cause": cause,
        "first_bad_step": int(t["step"][at]),
        "place": place,
        "action": action or ACTIONS[cause],
        "confidence": confidence,
        "abstain": abstain,
    }


def first(flags):
    where = np.flatnonzero(flags)
    return int(where[0]) if len(where) else None


def gained(seen):
    """For each position, how much likelier a source's steps [S] are when it is met more often from there on than on the calm steps."""
    before = (seen[:CALM].sum() + 0.5) / (CALM + 1)
    sums = np.append(0.0, np.where(seen, np.log(0.6 / before), np.log(0.4 / (1 - before))).cumsum())
    return np.maximum.accumulate(sums[::-1])[::-1][1:] - sums[:-1]


def newcomer(t):
    """The source that is met more often than before, and the position from which its rows come, most of them in one shard."""
    seen = np.isfinite(t["loss_per_source"])
    rare = [k for k in range(len(t["sources"])) if seen[:CALM, k].mean() < 0.5]
    source = max(rare, key=lambda k: gained(seen[:, k]).max())
    shard = np.bincount(t["shard"][CALM:][seen[CALM:, source]].ravel(), minlength=1).argmax()
    return t["sources"][source], int(gained(seen[:, source] & (t["shard"] == shard).any(1)).argmax())


def misread(t):
    """State that is not what was written, in updates that are larger than others: [S]. A list that is old changes no update."""
    other = np.abs(t["optimizer_checksum"] / t["optimizer_manifest"] - 1) > 1e-3
    return other & (t["update_ratio"] > 1.3 * np.median(t["update_ratio"][:CALM]))


def desync(t):
    return np.abs(t["replica_checksum"][:, 0] - t["replica_checksum"][:, 1]) > 1e-4


def suspicious(t):
    """Rows that do not say what was written, or that say the same over and over, where the loss is high: [S, R]."""
    high = t["loss_per_rank"] > np.median(t["loss_per_rank"][:CALM]) + 0.28
    return (~t["hash_ok"] | (t["repeat_fraction"] > 0.75)) & high


def sick_rank(t, at):
    """On the sick rank its own rows, and the other's, come out higher; later the model has learnt from it, and that may turn."""
    gap = (t["loss_per_rank"] - t["loss_swap"])[at:]
    return int(np.nan_to_num(gap[np.abs(gap).max(1) > 5e-4][:3]).sum(0).argmax())


# %% id="diagnose"
def diagnose(t):
    if (at := first((np.abs(t["loss_per_rank"] - t["loss_swap"]).max(1) > 1e-3) | desync(t))) is not None:
        return reply(t, "hw", at, sick_rank(t, at))
    if (at := first(misread(t))) is not None:
        return reply(t, "opt", at)
    if (at := first((t["lr_applied"] > 1.3 * np.median(t["lr_applied"][:10], axis=0)).any(1))) is not None:
        return reply(t, "lr", at)
    if (at := first(suspicious(t).any(1))) is not None:
        return reply(t, "data", at, int(t["shard"][at, suspicious(t)[at].argmax()]))
    if (at := first(np.abs(t["loss_logged"] / t["loss_per_rank"].mean(1) - 1) > 1e-3)) is not None:
        return reply(t, "benign", at)
    name, at = newcomer(t)
    return reply(t, "benign", at, name)
