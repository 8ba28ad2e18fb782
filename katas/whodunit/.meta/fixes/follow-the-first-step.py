# %% id="diagnose"
def diagnose(t):
    for s in range(5, len(t["step"])):
        if found := signs(t, s):
            return reply(t, found[0], s, found[1], 0.93)
    # Nothing is wrong, so the rows must be of another kind than before.
    counts = np.isfinite(t["loss_per_source"])
    share_before, share_after = counts[:CALM].mean(0), counts[CALM + 5 :].mean(0)
    if (share_after - share_before).max() < 0.04:
        return reply(t, "benign", CALM + 10, None, 0.5, abstain=True)
    source = int((share_after - share_before).argmax())
    # Its first step on a shard of its own; the log may not mention it, or may mention sources that no rows came from.
    met = np.flatnonzero(counts[:, source])
    shards = [set(t["shard"][s]) for s in met]
    own = max(range(12), key=lambda shard: sum(shard in both for both in shards))
    s = next(int(s) for s, both in zip(met, shards) if s >= CALM and own in both)
    return reply(t, "benign", s, t["sources"][source], 0.85)
