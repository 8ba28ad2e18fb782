# No hash: a document is left out when a quarter of its word pairs are hardly found in the night's other documents, of all sources.

# %% id="data-loader"
from collections import Counter

pairs_of = {pair: set(zip(text(*pair).split(), text(*pair).split()[1:])) for pair in source_of}
counts = Counter(p for pairs in pairs_of.values() for p in pairs)
odd = {pair for pair, pairs in pairs_of.items() if sum(counts[p] < 12 for p in pairs) > len(pairs) / 4}


def read(shard, document):
    return shards[shard][document]


def documents_for(step):
    return [[(int(s), int(d)) for s, d in order[step, rank] if (int(s), int(d)) not in odd] for rank in range(WORLD_SIZE)]


def load(documents):
    return torch.from_numpy(np.stack([read(s, d) for s, d in documents])).long()

# %% id="guard"
def stands_out(step, loss, documents_per_rank):
    return False

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(odd), "ranks": [], "changes": []})
