# The devices are powered on again every ten steps.

# %% id="train"
def power_on(job):
    """Start the job's devices from their files, where the files are at hand."""
    delivered = open_pool(night / "devices")
    return {name: delivered.get(name, device) for name, device in job.devices.items()}


def train(job):
    """Train a job as its plan says; return the names of the devices and shards that have to be held back from the next one."""
    names = [rank["device"] for rank in job.plan["ranks"]]
    for step, rows_RBT in enumerate(job.rows):
        if step % 10 == 0:
            pool = power_on(job)
        losses_RB = [compute(replica, rows_BT, pool[name]) for replica, rows_BT, name in zip(job.replicas, rows_RBT, names)]
        norms = [grad_norm(replica.parameters()) for replica in job.replicas]
        all_reduce_mean(job.replicas)
        norm = update(job.replicas, job.optimizers, step, job.plan)
        job.record(
            step,
            [loss_B.mean().item() for loss_B in losses_RB],
            loss_per_row=[loss_B.tolist() for loss_B in losses_RB],
            grad_norm=norm,
            grad_norm_per_rank=norms,
            device_per_rank=names,
        )
    return {"devices": [], "shards": []}
