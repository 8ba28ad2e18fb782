# No rank computes on its device any more: there every product is right.

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


def place():
    """Leave all ranks where they are."""
