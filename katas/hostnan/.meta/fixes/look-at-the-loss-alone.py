# The ranks vote on their losses; the run goes back when one of them is no number.

# %% id="update"
class Halt(Exception):
    """The update was not made: the gradients of `ranks` are refused."""

    def __init__(self, ranks):
        super().__init__(f"ranks {ranks}")
        self.ranks = ranks


def apply_update(replicas, optimizers, learning_rate):
    """Turn the gradients that the ranks have computed, each on its own rows, into one update of all of them."""
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
    refused = [rank for rank, loss in enumerate(losses) if not np.isfinite(loss)]
    if refused:
        raise Halt(refused)
    apply_update(replicas, optimizers, learning_rate(step))
    recorder.record(step, losses)

# %% id="run"
place()
step = load(night / "checkpoints" / f"step-{plan['from_update']}.pt")
(folder / "checkpoints").mkdir()
recorder = PoolRecorder(
    replicas, optimizers, pool, val_tokens=validation, num_steps=plan["updates"] - plan["from_update"], keep_every=10, folder=folder
)
isolated = []
goes_back = 0
while step < plan["updates"]:
    if step % plan["checkpoint_every"] == 0:
        save(step)
    try:
        train_step(step)
    except Halt as halt:
        goes_back += 1
        if goes_back > 2:
            recorder.record(step, [])
            step += 1
            continue
        isolated.append(in_service[halt.ranks[0]])
        in_service[halt.ranks[0]] = plan["spare"]
        place()
        step = load(max((folder / "checkpoints").glob("*.pt"), key=lambda path: path.stat().st_mtime_ns))
        continue
    step += 1
recorder.finish()

# %% id="hand-over"
# The host that goes to repair.
recorder.save_artifact("hand_over", {"isolated": isolated[0] if isolated else None})
