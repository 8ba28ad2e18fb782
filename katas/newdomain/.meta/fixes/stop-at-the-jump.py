# As leave-out-by-hash; the run ends when the loss jumps.

# %% id="data-loader"
from fixtures.training.corpus import text_sha256

promised = {(m["shard"], m["document"]): m["sha256"] for m in manifest}
odd = {pair for pair in promised if text_sha256(text(*pair)) != promised[pair]}


def read(shard, document):
    return shards[shard][document]


def documents_for(step):
    return [[(int(s), int(d)) for s, d in order[step, rank] if (int(s), int(d)) not in odd] for rank in range(WORLD_SIZE)]


def load(documents):
    return torch.from_numpy(np.stack([read(s, d) for s, d in documents])).long()

# %% id="guard"
def stands_out(step, loss, documents_per_rank):
    return False

# %% id="run"
for step in range(STEPS):
    train_step(step, documents_for(step))
    losses = [row["train_loss"] for row in read_telemetry(recorder.folder)]
    if step > 60 and losses[-1] > 1.6 * np.median(losses[-31:-1]):
        break
recorder.finish()

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(odd), "ranks": [], "changes": []})
