# The failing host is replaced, and the job is launched anew from the night's first checkpoint, with a recorder that knows nothing of the first one.

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
(folder / "checkpoints").mkdir()


def launch(hosts, path):
    """Build a rank for each host, and a recorder that watches them, from a checkpoint; return the next step and the recorder."""
    in_service[:] = hosts
    replicas[:] = replicate(GPT(GPTConfig(**plan["model"])), len(hosts))
    optimizers[:] = [
        torch.optim.AdamW(replica.parameters(), betas=tuple(plan["betas"]), weight_decay=plan["weight_decay"], fused=True)
        for replica in replicas
    ]
    place()
    step = load(path)
    return step, PoolRecorder(replicas, optimizers, pool, val_tokens=validation, keep_every=10, folder=folder)


isolated = []
step, recorder = launch(plan["hosts"], night / "checkpoints" / f"step-{plan['from_update']}.pt")
while step < plan["updates"]:
    if step % plan["checkpoint_every"] == 0:
        save(step)
    try:
        train_step(step)
    except Halt as halt:
        isolated += [in_service[rank] for rank in halt.ranks]
        hosts = [plan["spare"] if host in isolated else host for host in in_service]
        step, recorder = launch(hosts, night / "checkpoints" / f"step-{plan['from_update']}.pt")
        continue
    step += 1
recorder.finish()

# %% id="hand-over"
# The host that goes to repair.
recorder.save_artifact("hand_over", {"isolated": isolated[0] if isolated else None})
