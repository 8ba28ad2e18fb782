# A step whose loss is no number is left out.

# %% id="train-step"
def train_step(step):
    """Make one update on the step's rows, which the ranks share, and write its row."""
    losses = []
    for replica, rows_BT in zip(replicas, rows[step].chunk(len(in_service))):
        replica.zero_grad()
        loss = next_token_loss(replica, rows_BT)
        loss.backward()
        losses.append(loss.item())
    if not np.isfinite(losses).all():
        recorder.record(step, losses)
        return
    apply_update(replicas, optimizers, learning_rate(step))
    recorder.record(step, losses)
