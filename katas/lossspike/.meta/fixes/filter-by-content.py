# No manifest needed: a bigram count over the whole night says how ordinary each document is; outliers by a robust z are left out.

# %% id="data-loader"
documents = np.stack(shards)  # shard, document, token
counts = np.full((len(table), len(table)), 0.1)
np.add.at(counts, (documents[..., :-1].ravel(), documents[..., 1:].ravel()), 1)
log_p = np.log(counts / counts.sum(1, keepdims=True))
surprise = -log_p[documents[..., :-1], documents[..., 1:]].mean(-1)  # shard, document
spread = 1.4826 * np.median(np.abs(surprise - np.median(surprise)))
bad = {(int(s), int(d)) for s, d in np.argwhere((surprise - np.median(surprise)) / spread > 6)}


def read(shard, document):
    return shards[shard][document]


def load(documents):
    return torch.from_numpy(np.stack([read(s, d) for s, d in documents])).long()


def documents_for(step):
    good = [(int(s), int(d)) for s, d in order[step].reshape(-1, 2) if (int(s), int(d)) not in bad]
    return [good[rank::WORLD_SIZE] for rank in range(WORLD_SIZE)]


# %% id="hand-over"
recorder.exhibit("hand_over", {"documents": sorted(bad), "ranks": [], "schedule_changes": []})
