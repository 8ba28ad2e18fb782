# The guard stays; when a rank's loss stands out it opens the manifest, and the rows that are not what it lists are left out of the step.

# %% id="guard"
from fixtures.training.corpus import text_sha256

promised = {(m["shard"], m["document"]): m["sha256"] for m in manifest}
usual = []
odd = set()


def sound_of(step, documents_per_rank, losses):
    """Return the documents of each rank that are trained on."""
    if step > 60 and max(map(np.mean, losses)) > 1.25 * np.median(usual[-30:]):
        odd.update(pair for rank in documents_per_rank for pair in rank if text_sha256(text(*pair)) != promised[pair])
    usual.append(np.mean(losses[0] + losses[1]))
    return [[pair for pair in rank if pair not in odd] for rank in documents_per_rank]


# %% id="train-step"
def train_step(step, documents_per_rank):
    with torch.no_grad():
        first = [document_losses(replica, load(documents)).tolist() for replica, documents in zip(replicas, documents_per_rank)]
    documents_per_rank = sound_of(step, documents_per_rank, first)
    losses = []
    for replica, documents in zip(replicas, documents_per_rank):
        replica.zero_grad(set_to_none=True)
        loss = document_losses(replica, load(documents)).mean()
        loss.backward()
        losses.append(loss.item())
    all_reduce_mean(replicas)
    for replica, optimizer in zip(replicas, optimizers):
        clip_grad_norm_(replica.parameters(), plan["grad_clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
    recorder.record(step, losses, documents_per_rank=documents_per_rank)


# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(odd), "ranks": [], "changes": []})
