# As leave-out-by-hash; a document whose source had no part in the first half of the night counts a third.

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

known = {source_of[tuple(map(int, pair))] for pair in order[: len(order) // 2].reshape(-1, 2)}


def weights(documents):
    return torch.tensor([1.0 if source_of[pair] in known else 1 / 3 for pair in documents])

# %% id="train-step"
def train_step(step, documents_per_rank):
    losses = []  # [rank][row]
    for replica, documents in zip(replicas, documents_per_rank):
        replica.zero_grad(set_to_none=True)
        loss_B = document_losses(replica, load(documents))
        (loss_B * weights(documents)).mean().backward()
        losses.append(loss_B.tolist())
    all_reduce_mean(replicas)
    for replica, optimizer in zip(replicas, optimizers):
        clip_grad_norm_(replica.parameters(), plan["grad_clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
    recorder.record(step, [np.mean(rank) for rank in losses], documents_per_rank=documents_per_rank)

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(odd), "ranks": [], "changes": []})
