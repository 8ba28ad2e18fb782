# Find the first step in which anything is off, and ask what is off in it; leave what stays unclear to a person.

# %% id="features"
CALM = 20
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


def signs(t, s):
    """What is off in one step, as (cause, place)."""
    loss, swap = t["loss_per_rank"][s], t["loss_swap"][s]
    if np.abs(loss - swap).max() > 5e-4 or abs(np.ptp(t["replica_checksum"][s])) > 1e-4:
        return "hw", sick_rank(t, s)
    acted = t["update_ratio"][s] > 1.35 * np.median(t["update_ratio"][s - 5 : s])
    if acted and abs(t["optimizer_checksum"][s] - t["optimizer_manifest"][s]) > 1e-3 * t["optimizer_manifest"][s]:
        return "opt", None
    if (t["lr_applied"][s] > 1.28 * t["lr_applied"][0]).any():
        return "lr", None
    usual = np.median(t["loss_per_rank"][:CALM])
    for rank in range(len(loss)):
        if loss[rank] > usual + 0.3 and (t["repeat_fraction"][s, rank] > 0.75 or not t["hash_ok"][s, rank]):
            return "data", int(t["shard"][s, rank])
    if abs(t["loss_logged"][s] - loss.mean()) > 1e-3:
        return "benign", None
    return None


def sick_rank(t, at):
    """On the sick rank its own rows, and the other's, come out higher; later the model has learnt from it, and that may turn."""
    gap = (t["loss_per_rank"] - t["loss_swap"])[at:]
    return int(np.nan_to_num(gap[np.abs(gap).max(1) > 5e-4][:3]).sum(0).argmax())


# %% id="diagnose"
def diagnose(t):
    for s in range(5, len(t["step"])):
        if found := signs(t, s):
            return reply(t, found[0], s, found[1], 0.93)
    # Nothing is off: then the rows are of another kind than before.
    counts = np.isfinite(t["loss_per_source"])
    share_before, share_after = counts[:CALM].mean(0), counts[CALM + 5 :].mean(0)
    if (share_after - share_before).max() < 0.04:
        return reply(t, "benign", CALM + 10, None, 0.5, abstain=True)
    source = int((share_after - share_before).argmax())
    # From its first step on a shard of its own; the log may speak of it, and of others that nothing came from.
    met = np.flatnonzero(counts[:, source])
    shards = [set(t["shard"][s]) for s in met]
    own = max(range(12), key=lambda shard: sum(shard in both for both in shards))
    s = next(int(s) for s, both in zip(met, shards) if s >= CALM and own in both)
    return reply(t, "benign", s, t["sources"][source], 0.85)
