# The guard is gone; the steps in which something is not what the manifest lists are left out, with all that is sound in them.

# %% id="data-loader"
from fixtures.training.corpus import text_sha256

promised = {(m["shard"], m["document"]): m["sha256"] for m in manifest}
odd = {pair for pair in promised if text_sha256(text(*pair)) != promised[pair]}


def read(shard, document):
    return shards[shard][document]


def documents_for(step):
    return [[(int(s), int(d)) for s, d in order[step, rank]] for rank in range(WORLD_SIZE)]


def load(documents):
    return torch.from_numpy(np.stack([read(s, d) for s, d in documents])).long()

# %% id="guard"
def stands_out(step, loss, documents_per_rank):
    return False

# %% id="run"
for step in range(STEPS):
    documents_per_rank = documents_for(step)
    if not any(pair in odd for rank in documents_per_rank for pair in rank):
        train_step(step, documents_per_rank)
recorder.finish()

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(odd), "ranks": [], "changes": []})
