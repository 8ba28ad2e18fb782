# The gradients of ranks that are not finite are left out of the mean.

# %% id="update"
class Halt(Exception):
    """The update was not made: the gradients of `ranks` are refused."""

    def __init__(self, ranks):
        super().__init__(f"ranks {ranks}")
        self.ranks = ranks


def apply_update(replicas, optimizers, learning_rate):
    """Turn the gradients that the ranks have computed, each on its own rows, into one update of all of them."""
    sound = [replica for replica in replicas if all(p.grad.isfinite().all() for p in replica.parameters())]
    all_reduce_mean(sound)
    for replica in replicas:
        for p, mean in zip(replica.parameters(), sound[0].parameters()):
            p.grad = mean.grad.clone()
    for replica, optimizer in zip(replicas, optimizers):
        clip_grad_norm_(replica.parameters(), plan["grad_clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
