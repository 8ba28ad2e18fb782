# %% id="diagnose"
def diagnose(t):
    loss, swap = t["loss_per_rank"], t["loss_swap"]
    both = np.abs(loss - swap).min(1) > 1e-3
    if (at := first(both | desync(t))) is not None:
        return reply(t, "hw", at, sick_rank(t, at))
    if t["rms_t"].max() > 3.5 and (at := first(t["optimizer_checksum"] < 0.97 * t["optimizer_manifest"])) is not None:
        return reply(t, "opt", at)
    rate = t["lr_applied"][:, 1]
    if (at := first(rate > 1.3 * np.median(rate[:10]))) is not None:
        return reply(t, "lr", at)
    new = np.isfinite(t["loss_per_source"][:, -1])
    if new.any() and not suspicious(t).any():
        return reply(t, "benign", first(new), t["sources"][-1])
    high = (loss > np.median(loss[:CALM]) + 0.28)[CALM:]
    at = CALM + (first(high.any(1)) or 0)
    return reply(t, "data", at, int(t["shard"][at, loss[at].argmax()]))
