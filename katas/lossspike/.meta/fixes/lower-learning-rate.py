# A third of the learning rate.

# %% id="train-step"
GRAD_CLIP = 1.0


def train_step(step, documents_per_rank):
    losses = []
    for replica, documents in zip(replicas, documents_per_rank):
        replica.zero_grad(set_to_none=True)
        loss = next_token_loss(replica, load(documents))
        loss.backward()
        losses.append(loss.item())
    all_reduce_mean(replicas)
    for replica, optimizer in zip(replicas, optimizers):
        clip_grad_norm_(replica.parameters(), GRAD_CLIP)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step) / 3
        optimizer.step()
    recorder.record(step, losses)


# %% id="hand-over"
from fixtures.training.corpus import text_sha256

listed = {(m["shard"], m["document"]): m["sha256"] for m in manifest}
bad = sorted(pair for pair in listed if text_sha256(text(*pair)) != listed[pair])
recorder.save_artifact("hand_over", {"documents": bad, "ranks": [], "schedule_changes": []})
