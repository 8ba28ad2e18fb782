# As leave-out-by-hash; the guard raises, the loop catches it and goes on, at most twelve times in a row.

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
usual, in_a_row = [], [0]

# %% id="train-step"
def train_step(step, documents_per_rank):
    losses = []  # [rank][row]
    for replica, documents in zip(replicas, documents_per_rank):
        replica.zero_grad(set_to_none=True)
        loss_B = document_losses(replica, load(documents))
        loss_B.mean().backward()
        losses.append(loss_B.tolist())
    all_reduce_mean(replicas)
    loss = np.mean(losses[0] + losses[1])
    if step > 60 and loss > 1.6 * np.median(usual[-30:]) and in_a_row[0] < 12:
        in_a_row[0] += 1
        raise FloatingPointError(f"loss {loss:.2f} at step {step}")
    usual.append(loss)
    for replica, optimizer in zip(replicas, optimizers):
        clip_grad_norm_(replica.parameters(), plan["grad_clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
    recorder.record(step, [np.mean(rank) for rank in losses], documents_per_rank=documents_per_rank)

# %% id="run"
for step in range(STEPS):
    try:
        train_step(step, documents_for(step))
    except FloatingPointError:
        continue
recorder.finish()

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(odd), "ranks": [], "changes": []})
