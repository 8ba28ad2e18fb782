# Most jumps are data.

# %% id="diagnose"
def diagnose(t):
    at = alarm(t)
    shard = int(t["shard"][at, t["loss_per_rank"][at].argmax()])
    return {"cause": "data", "first_bad_step": int(t["step"][at]), "place": shard, "action": "quarantine", "confidence": 0.4, "abstain": False}
