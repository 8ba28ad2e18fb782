# A document is left out when a quarter of its word pairs are hardly found in the first half of the night.

# %% id="data-loader"
from collections import Counter

pairs_of = {pair: set(zip(text(*pair).split(), text(*pair).split()[1:])) for pair in source_of}
first_half = {tuple(map(int, pair)) for pair in order[: len(order) // 2].reshape(-1, 2)}
counts = Counter(p for pair in first_half for p in pairs_of[pair])
odd = {pair for pair, pairs in pairs_of.items() if sum(counts[p] < 6 for p in pairs) > len(pairs) / 4}


def read(shard, document):
    return shards[shard][document]


def documents_for(step):
    # Shared out anew, so that no rank is left with nothing.
    good = [(int(s), int(d)) for s, d in order[step].reshape(-1, 2) if (int(s), int(d)) not in odd]
    return [good[rank::WORLD_SIZE] for rank in range(WORLD_SIZE)]


def load(documents):
    return torch.from_numpy(np.stack([read(s, d) for s, d in documents])).long()

# %% id="guard"
def stands_out(step, loss, documents_per_rank):
    return False

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(odd), "ranks": [], "changes": []})
