# The spare and the others go back to the weights of the last checkpoint, and their moments begin anew.

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
        checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt"), key=lambda path: path.stat().st_mtime_ns), weights_only=True)
        for replica, optimizer in zip(replicas, optimizers):
            replica.load_state_dict(checkpoint["model"])
            optimizer.state.clear()
        step = checkpoint["step"]
        continue
    step += 1
recorder.finish()

# %% id="hand-over"
# The host that goes to repair.
recorder.save_artifact("hand_over", {"isolated": isolated[0] if isolated else None})
