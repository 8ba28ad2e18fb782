# The failing host is replaced, and the one that throttles leaves as well.

# %% id="update"
class Halt(Exception):
    """The update was not made: the gradients of `ranks` are refused."""

    def __init__(self, ranks):
        super().__init__(f"ranks {ranks}")
        self.ranks = ranks


def apply_update(replicas, optimizers, learning_rate):
    """Turn the gradients that the ranks have computed, each on its own rows, into one update of all of them."""
    refused = [rank for rank, replica in enumerate(replicas) if not all(p.grad.isfinite().all() for p in replica.parameters())]
    if refused:
        raise Halt(refused)
    all_reduce_mean(replicas)
    for replica, optimizer in zip(replicas, optimizers):
        clip_grad_norm_(replica.parameters(), plan["grad_clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()

# %% id="train-step"
def train_step(step):
    """Make one update on the step's rows, which the ranks share, and write its row."""
    losses = []
    for replica, rows_BT in zip(replicas, rows[step].chunk(len(in_service))):
        replica.zero_grad()
        loss = next_token_loss(replica, rows_BT)
        loss.backward()
        losses.append(loss.item())
    apply_update(replicas[: len(in_service)], optimizers[: len(in_service)], learning_rate(step))
    recorder.record(step, losses)

# %% id="run"
place()
step = load(night / "checkpoints" / f"step-{plan['from_update']}.pt")
(folder / "checkpoints").mkdir()
recorder = PoolRecorder(
    replicas, optimizers, pool, val_tokens=validation, num_steps=plan["updates"] - plan["from_update"], keep_every=10, folder=folder
)
isolated = []
while step < plan["updates"]:
    if step % plan["checkpoint_every"] == 0:
        save(step)
    try:
        train_step(step)
    except Halt as halt:
        for rank in halt.ranks:
            isolated.append(in_service[rank])
            in_service[rank] = plan["spare"]
        place()
        in_service.remove(max(health, key=lambda host: health[host][-1]["compute_ms"]))
        place()
        step = load(max((folder / "checkpoints").glob("*.pt"), key=lambda path: path.stat().st_mtime_ns))
        continue
    step += 1
recorder.finish()

# %% id="hand-over"
# The host that goes to repair.
recorder.save_artifact("hand_over", {"isolated": isolated[0] if isolated else None})
