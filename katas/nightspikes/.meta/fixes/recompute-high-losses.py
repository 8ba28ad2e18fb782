# A rank whose loss is a fifth above its median of late is computed on a spare; who differs is convicted.

# %% id="train"
def gradients(replica, rows_BT, device):
    return [compute(replica, rows_BT, device), *(p.grad.clone() for p in replica.parameters())]


def train(job):
    """Train a job as its plan says; return the names of the devices and shards that have to be held back from the next one."""
    names = [rank["device"] for rank in job.plan["ranks"]]
    convicted, seen = [], ([], [])
    for step, rows_RBT in enumerate(job.rows):
        losses_RB = []
        for rank, (replica, rows_BT) in enumerate(zip(job.replicas, rows_RBT)):
            losses_RB.append(compute(replica, rows_BT, job.devices[names[rank]]))
            value = losses_RB[-1].mean().item()
            if step > 12 and value > 1.2 * np.median(seen[rank][-12:]):
                before = [p.grad.clone() for p in replica.parameters()]
                spare = next(s for s in job.plan["spares"] if s not in names)
                losses_RB[-1] = compute(replica, rows_BT, job.devices[spare])
                if not all(torch.equal(a, p.grad) for a, p in zip(before, replica.parameters())):
                    convicted.append(names[rank])
                    names[rank] = spare
            seen[rank].append(value)
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
    return {"devices": convicted, "shards": []}
