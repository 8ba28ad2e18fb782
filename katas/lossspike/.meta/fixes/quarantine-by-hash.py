# Leave out documents whose text does not have the hash that the manifest lists; the ranks share the rest of the step.

# %% id="data-loader"
from fixtures.training.corpus import text_sha256

listed = {(m["shard"], m["document"]): m["sha256"] for m in manifest}
bad = {pair for pair in listed if text_sha256(text(*pair)) != listed[pair]}


def read(shard, document):
    return shards[shard][document]


def load(documents):
    return torch.from_numpy(np.stack([read(s, d) for s, d in documents])).long()


def documents_for(step):
    good = [(int(s), int(d)) for s, d in order[step].reshape(-1, 2) if (int(s), int(d)) not in bad]
    return [good[rank::WORLD_SIZE] for rank in range(WORLD_SIZE)]


# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(bad), "ranks": [], "schedule_changes": []})

# %% id="diagnosis"
first = next(step for step in range(STEPS) if any((s, d) in bad for s, d in order[step].reshape(-1, 2).tolist()))
recorder.save_artifact(
    "diagnosis",
    {
        "cause": "data",
        "first_bad_step": first,
        "shard": min(bad)[0],
        "column": "documents_per_rank",
        "action": "quarantine",
    },
)
