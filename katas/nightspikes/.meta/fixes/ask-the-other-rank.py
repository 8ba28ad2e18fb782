# Each rank's rows are computed by the other rank's device too; a spare is asked when they disagree. Who is convicted leaves its rows to the other rank's device.

# %% id="train"
def answer(replica, rows_BT, device):
    loss_B = compute(replica, rows_BT, device)
    return [loss_B, *(p.grad.clone() for p in replica.parameters())]


def train(job):
    names = [rank["device"] for rank in job.plan["ranks"]]
    spares, convicted = list(job.plan["spares"]), set()
    for step, rows_RBT in enumerate(job.rows):
        losses = []
        for rank, replica in enumerate(job.replicas):
            mine, other = names[rank], names[1 - rank]
            known = {name: answer(replica, rows_RBT[rank], job.devices[name]) for name in ({mine, other} if not convicted else {mine})}
            if len(known) == 2 and not all(map(torch.equal, known[mine], known[other])):
                judge = answer(replica, rows_RBT[rank], job.devices[spares[0]])
                wrong = next(name for name in known if not all(map(torch.equal, known[name], judge)))
                convicted.add(wrong)
                names = [name for name in names if name != wrong] * 2
                known = {names[rank]: judge}
            loss_B, *gradients = known[names[rank]]
            for p, grad in zip(replica.parameters(), gradients):
                p.grad = grad
            losses.append(loss_B.mean().item())
        all_reduce_mean(job.replicas)
        norm = update(job.replicas, job.optimizers, step, job.plan)
        job.record(step, losses, grad_norm=norm, device_per_rank=names)
    return {"devices": sorted(convicted), "shards": []}
