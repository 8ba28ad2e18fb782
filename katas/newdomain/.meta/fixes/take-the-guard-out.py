# Remove the guard, look at nothing else, and hold nothing back.

# %% id="guard"
def stands_out(step, loss, documents_per_rank):
    return False

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": [], "ranks": [], "changes": []})
