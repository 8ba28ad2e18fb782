# The guard gets used to it, as in let-the-guard-get-used-to-it, and what it refused is trained on in extra updates after the last step.

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
usual, put_off = [], []


def stands_out(step, loss, documents_per_rank):
    high = 60 < step < STEPS and loss > 1.6 * np.median(usual[-30:])
    usual.append(loss)
    if high:
        put_off.append(documents_per_rank)
    return high

# %% id="run"
for step in range(STEPS):
    train_step(step, documents_for(step))
real_rate = learning_rate


def learning_rate(step):
    return real_rate(min(step, STEPS - 1))


for i, documents_per_rank in enumerate(list(put_off)):
    train_step(STEPS + i, documents_per_rank)
recorder.finish()

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(odd), "ranks": [], "changes": []})
