# A score for each cause, how far beyond what the calm steps show; the highest is named.

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


def beyond(values, least):
    """How many calm spreads a column's values [S] lie from their calm median; spreads under `least` count as `least`."""
    calm = values[:CALM]
    return np.abs(values - np.median(calm)) / max(1.4826 * np.median(np.abs(calm - np.median(calm))), least)


def sick_rank(t, at):
    """On the sick rank its own rows, and the other's, come out higher; later the model has learnt from it, and that may turn."""
    gap = (t["loss_per_rank"] - t["loss_swap"])[at:]
    return int(np.nan_to_num(gap[np.abs(gap).max(1) > 5e-4][:3]).sum(0).argmax())


# %% id="diagnose"
def diagnose(t):
    loss, swap = t["loss_per_rank"], t["loss_swap"]
    own = np.nan_to_num(np.abs(loss - swap), nan=9.0)
    apart = np.abs(t["replica_checksum"][:, 0] - t["replica_checksum"][:, 1])
    over = loss - np.median(loss[:CALM])
    odd = np.where(t["hash_ok"] & (t["repeat_fraction"] < 0.75), 0, over)
    seen = np.isfinite(t["loss_per_source"]).astype(float)
    state = np.abs(np.log(t["optimizer_checksum"] / t["optimizer_manifest"]))
    larger = np.log(t["update_ratio"] / np.median(t["update_ratio"][:CALM]))
    rate = np.abs(np.log(t["lr_applied"] / t["lr_applied"][:CALM].mean(0))).max(1)
    signs = {  # per step; 1 is where a sign begins to mean something
        "hw": np.maximum(own.max(1) / 1e-3, apart / 1e-4),
        "opt": np.minimum(state / 1e-3, larger / 0.26),
        "lr": rate / 0.26,
        "data": odd.max(1) / 0.28,
        "benign": np.full(len(loss), 0.5),
    }
    signs["benign"][np.abs(t["loss_logged"] / loss.mean(1) - 1) > 1e-3] = 1.01
    order = ["hw", "opt", "lr", "data", "benign"]
    strength = {cause: float(np.log(max(signs[cause].max(), 1e-9))) for cause in order}
    # A sick machine moves rates of nothing; a bad update moves no checksum of the state: the sign that can have one cause only counts most.
    cause = next((c for c in order if strength[c] > 0), "benign")
    at = int(np.argmax(signs[cause] > 1)) if strength[cause] > 0 else CALM
    place = None
    if cause == "hw":
        place = sick_rank(t, at)
    if cause == "data":
        place = int(t["shard"][at, odd[at].argmax()])
    if cause == "benign" and signs["benign"].max() < 1:
        gained = seen[25:45].mean(0) - seen[:CALM].mean(0)
        source = int(gained.argmax())
        # Of the five steps from here on, most have such rows.
        often = np.convolve(seen[:, source], np.ones(5))[4:] * seen[:, source] >= 3
        at, place = CALM + int(often[CALM:].argmax()), t["sources"][source]
    return reply(t, cause, at, place, 0.9)
