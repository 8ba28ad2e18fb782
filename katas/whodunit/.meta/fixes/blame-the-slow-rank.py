# The slow rank is named, and the shard that is read when the dashboard shows the jump.

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


def mentioned(t, source):
    """The position of the line that says that a source came into the mix."""
    lines = [line.split()[1] for line in t["log"] if "mixture" in line and source in line]
    return int(lines[0]) - int(t["step"][0]) if lines else None


def desync(t):
    return np.abs(t["replica_checksum"][:, 0] - t["replica_checksum"][:, 1]) > 1e-4


def suspicious(t):
    """Rows that do not say what was written, where the loss is high, and rows that say the same over and over: [S, R]."""
    high = t["loss_per_rank"] > np.median(t["loss_per_rank"][:CALM]) + 0.28
    return (~t["hash_ok"] & high) | (t["repeat_fraction"] > 0.7)


def sick_rank(t, at):
    """On the sick rank its own rows, and the other's, come out higher; later the model has learnt from it, and that may turn."""
    gap = (t["loss_per_rank"] - t["loss_swap"])[at:]
    return int(np.nan_to_num(gap[np.abs(gap).max(1) > 5e-4][:3]).sum(0).argmax())


def decide(t):
    if (at := first((np.abs(t["loss_per_rank"] - t["loss_swap"]).max(1) > 1e-3) | desync(t))) is not None:
        return reply(t, "hw", at, sick_rank(t, at))
    if (at := first(np.abs(t["optimizer_checksum"] / t["optimizer_manifest"] - 1) > 1e-3)) is not None:
        return reply(t, "opt", at)
    if (at := first((t["lr_applied"] > 1.3 * np.median(t["lr_applied"][:10], axis=0)).any(1))) is not None:
        return reply(t, "lr", at)
    if (at := first(suspicious(t).any(1))) is not None:
        return reply(t, "data", at, int(t["shard"][at, suspicious(t)[at].argmax()]))
    if (at := first(np.abs(t["loss_logged"] / t["loss_per_rank"].mean(1) - 1) > 1e-3)) is not None:
        return reply(t, "benign", at)
    seen = np.isfinite(t["loss_per_source"])
    source = int((seen[CALM:].mean(0) - seen[:CALM].mean(0)).argmax())
    name = t["sources"][source]
    return reply(t, "benign", mentioned(t, name) or CALM + (first(seen[CALM:, source]) or 0), name)


# %% id="diagnose"
def diagnose(t):
    found = decide(t)
    high = np.flatnonzero(t["public_loss"] > np.median(t["public_loss"][:4]) + 0.1)
    at = 5 * int(high[0]) + 4 if len(high) else 40
    slow = int(t["tokens_per_s"].min(0).argmin())
    return found | {"place": {"data": int(t["shard"][at, slow]), "hw": slow}.get(found["cause"])}
