# Each product is compared with a column sum that another device computes; after a mismatch, other devices compute the rows once more.

# %% id="train"
def train(job):
    names = [rank["device"] for rank in job.plan["ranks"]]
    everybody = [*names, *job.plan["spares"]]
    convicted = set()
    for step, rows_RBT in enumerate(job.rows):
        losses = []
        for rank, (replica, rows_BT) in enumerate(zip(job.replicas, rows_RBT)):
            while True:
                sound = [n for n in everybody if n not in convicted]
                name = names[rank] if names[rank] in sound else next((n for n in sound if n not in names), sound[0])
                names[rank] = name
                device = Checked(job.devices[name], [job.devices[n] for n in reversed(sound) if n != name][:2])
                loss_B = compute(replica, rows_BT, device)
                if not device.wrong:
                    break
                convicted |= device.wrong
            losses.append(loss_B.mean().item())
        all_reduce_mean(job.replicas)
        norm = update(job.replicas, job.optimizers, step, job.plan)
        job.record(step, losses, grad_norm=norm, device_per_rank=names)
    return {"devices": sorted(convicted), "shards": []}
