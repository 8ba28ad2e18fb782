# Stop at step 200, before the last jumps.

# %% id="data-loader"
def stored_text_is_listed(shard, document):
    return text_sha256(text(shard, document)) == listed[shard, document]


listed = {(m["shard"], m["document"]): m["sha256"] for m in manifest}
bad = {pair for pair in listed if not stored_text_is_listed(*pair)}


def read(shard, document):
    return shards[shard][document]


def load(documents):
    return torch.from_numpy(np.stack([read(s, d) for s, d in documents])).long()


def documents_for(step):
    return [[(int(s), int(d)) for s, d in order[step, rank]] for rank in range(WORLD_SIZE)]


# %% id="hand-over"
recorder.exhibit("hand_over", {"documents": sorted(bad), "ranks": [], "schedule_changes": []})

# %% id="run"
for step in range(200):
    train_step(step, documents_for(step))
recorder.finish()
