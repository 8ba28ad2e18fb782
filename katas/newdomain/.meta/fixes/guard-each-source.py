# Keep the guard, but for documents: leave one out when its loss stands out from the last forty of its own source. A source that appears for
# the first time has no such history and needs none. No hash is used.

# %% id="guard"
SOURCE_RATIO, WINDOW = 2.3, 40
of_source = {source: [] for source in set(source_of.values())}
odd = set()


def may_train(step, documents, losses):
    """Return, for each document of a rank, whether it is trained on, [B]."""
    may = []
    for pair, loss in zip(documents, losses):
        past = of_source[source_of[pair]]
        stands_out = step > 30 and len(past) >= WINDOW and loss > SOURCE_RATIO * np.median(past[-WINDOW:])
        if stands_out:
            odd.add(pair)
        may.append(not stands_out)
    for pair, loss, fine in zip(documents, losses, may):
        if fine:
            of_source[source_of[pair]].append(loss)
    return torch.tensor(may)


# %% id="train-step"
def train_step(step, documents_per_rank):
    losses, trained = [], []
    for replica, documents in zip(replicas, documents_per_rank):
        with torch.no_grad():
            loss_B = document_losses(replica, load(documents)).tolist()
        may = may_train(step, documents, loss_B)
        fine = [pair for pair, m in zip(documents, may) if m]
        replica.zero_grad(set_to_none=True)
        loss = document_losses(replica, load(fine)).mean()
        loss.backward()
        losses.append(loss.item())
        trained.append(fine)
    all_reduce_mean(replicas)
    for replica, optimizer in zip(replicas, optimizers):
        clip_grad_norm_(replica.parameters(), plan["grad_clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
    recorder.record(step, losses, documents_per_rank=trained)


# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(odd), "ranks": [], "changes": []})
