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
            mine = names[rank]
            other = next(name for name in (names[1 - rank], *spares) if name != mine)
            known = {name: answer(replica, rows_RBT[rank], job.devices[name]) for name in (mine, other)}
            if not all(map(torch.equal, known[mine], known[other])):
                third = next(name for name in (*spares, *names) if name not in known)
                judge = answer(replica, rows_RBT[rank], job.devices[third])
                wrong = next(name for name in known if not all(map(torch.equal, known[name], judge)))
                convicted.add(wrong)
                spares = [name for name in spares if name != wrong]
                names = [name for name in names if name != wrong] or spares
                names = [names[0], names[-1]]
                known[mine] = judge
            loss_B, *gradients = known[mine]
            for p, grad in zip(replica.parameters(), gradients):
                p.grad = grad
            losses.append(loss_B.mean().item())
        all_reduce_mean(job.replicas)
        norm = update(job.replicas, job.optimizers, step, job.plan)
        job.record(step, losses, grad_norm=norm, device_per_rank=names)
    return {"devices": sorted(convicted), "shards": []}
