# Each rank's rows are computed twice on their own device; the second answer counts, and a device that disagrees with itself is named.

# %% id="train"
def gradients(replica, rows_BT, device):
    return [compute(replica, rows_BT, device), *(p.grad.clone() for p in replica.parameters())]


def train(job):
    """Train a job as its plan says; return the names of the devices and shards that have to be held back from the next one."""
    names = [rank["device"] for rank in job.plan["ranks"]]
    convicted = set()
    for step, rows_RBT in enumerate(job.rows):
        losses_RB = []
        for rank, (replica, rows_BT) in enumerate(zip(job.replicas, rows_RBT)):
            first = gradients(replica, rows_BT, job.devices[names[rank]])
            second = gradients(replica, rows_BT, job.devices[names[rank]])
            if not all(map(torch.equal, first, second)):
                convicted.add(names[rank])
            losses_RB.append(second[0])
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
    return {"devices": sorted(convicted), "shards": []}
