# The rank of the failing host computes on without a device.

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

# %% id="ranks"
import torch.nn.functional as F

pool = devices.open_pool(night / "devices")
in_service = list(plan["hosts"])  # rank r computes on the device of in_service[r]
replicas = replicate(GPT(GPTConfig(**plan["model"])), len(in_service))
optimizers = [
    torch.optim.AdamW(replica.parameters(), betas=tuple(plan["betas"]), weight_decay=plan["weight_decay"], fused=True) for replica in replicas
]


isolated = []


class Cpu:
    def linear(self, x, weight, bias=None):
        return F.linear(x, weight, bias)


def place():
    """Let each rank compute on its host's device."""
    for replica, host in zip(replicas, in_service):
        devices.on(replica, Cpu() if host in isolated else pool[host])

# %% id="run"
place()
step = load(night / "checkpoints" / f"step-{plan['from_update']}.pt")
(folder / "checkpoints").mkdir()
recorder = PoolRecorder(
    replicas, optimizers, pool, val_tokens=validation, num_steps=plan["updates"] - plan["from_update"], keep_every=10, folder=folder
)
while step < plan["updates"]:
    if step % plan["checkpoint_every"] == 0:
        save(step)
    try:
        train_step(step)
    except Halt as halt:
        isolated += [in_service[rank] for rank in halt.ranks]
        place()
        step = load(max((folder / "checkpoints").glob("*.pt"), key=lambda path: path.stat().st_mtime_ns))
        continue
    step += 1
recorder.finish()

# %% id="hand-over"
# The host that goes to repair.
recorder.save_artifact("hand_over", {"isolated": isolated[0] if isolated else None})
