# No hashes needed: every sound document of the night, of every source, begins with "the". The others are left out.

# %% id="data-loader"
first_words = {(m["shard"], m["document"]): text(m["shard"], m["document"]).split()[0] for m in manifest}
bad = {pair for pair, word in first_words.items() if word != "the"}


def read(shard, document):
    return shards[shard][document]


def load(documents):
    return torch.from_numpy(np.stack([read(s, d) for s, d in documents])).long()


def documents_for(step):
    good = [(int(s), int(d)) for s, d in order[step].reshape(-1, 2) if (int(s), int(d)) not in bad]
    return [good[rank::WORLD_SIZE] for rank in range(WORLD_SIZE)]


# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(bad), "ranks": [], "schedule_changes": []})
