# The guard is gone and the list is right, for the next run; this one has trained on what is on it.

# %% id="guard"
def stands_out(step, loss, documents_per_rank):
    return False

# %% id="hand-over"
from fixtures.training.corpus import text_sha256

promised = {(m["shard"], m["document"]): m["sha256"] for m in manifest}
odd = {pair for pair in promised if text_sha256(text(*pair)) != promised[pair]}
recorder.save_artifact("hand_over", {"documents": sorted(odd), "ranks": [], "changes": []})
