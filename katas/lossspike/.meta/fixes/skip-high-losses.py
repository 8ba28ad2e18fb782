# Any step whose loss is more than twice the recent median makes no update. Nothing is handed over.

# %% id="train-step"
recent = []


def train_step(step, documents_per_rank):
    losses = []
    for replica, documents in zip(replicas, documents_per_rank):
        replica.zero_grad(set_to_none=True)
        loss = next_token_loss(replica, load(documents))
        loss.backward()
        losses.append(loss.item())

    high = step > 50 and np.mean(losses) > 2 * np.median(recent[-30:])
    recent.append(np.mean(losses))
    if not high:
        all_reduce_mean(replicas)
        for replica, optimizer in zip(replicas, optimizers):
            clip_grad_norm_(replica.parameters(), 1.0)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step)
            optimizer.step()
    recorder.record(step, losses)
