# The fifteen curves are the training set.

# %% id="features"
ACTIONS = {"data": "quarantine", "lr": "restore_schedule", "opt": "restore_optimizer", "hw": "cordon_rank", "benign": "continue"}


def alarm(t):
    high = np.flatnonzero(t["public_loss"] > np.median(t["public_loss"][:4]) + 0.1)
    return 5 * int(high[0]) if len(high) else len(t["step"]) // 2


def curve(t):
    over = np.maximum(t["public_loss"] - np.median(t["public_loss"][:4]), 0)
    peak = max(over.max(), 1e-3)
    start = alarm(t) // 5
    return np.array([np.log(peak), over[-1] / peak, over.sum() / peak, *np.pad(over / peak, (0, 6))[start : start + 6]])


# %% id="diagnose"
def diagnose(t):
    distance = [np.linalg.norm(curve(t) - curve(other)) for other in incidents]
    cause = answers[int(np.argmin(distance))]["cause"]
    at = alarm(t)
    place = {"data": int(t["shard"][at, 0]), "hw": int(t["loss_per_rank"][at].argmax())}.get(cause)
    return {"cause": cause, "first_bad_step": int(t["step"][at]), "place": place, "action": ACTIONS[cause], "confidence": 0.6, "abstain": False}
