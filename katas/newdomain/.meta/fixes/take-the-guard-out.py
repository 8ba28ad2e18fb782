# The guard is gone, nothing else is looked at, and nothing is held back.

# %% id="guard"
def stands_out(step, loss, documents_per_rank):
    return False

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": [], "ranks": [], "changes": []})
