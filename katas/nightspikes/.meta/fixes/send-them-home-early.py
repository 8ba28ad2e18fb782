# Every gradient is computed on two devices and a third decides; after a good quarter of the run these are the spares, and what the plan names stands idle.

# %% id="train"
def answer(replica, rows_BT, device):
    loss_B = compute(replica, rows_BT, device)
    return [loss_B, *(p.grad.clone() for p in replica.parameters())]


def agreed(replica, rows_BT, devices):
    """Ask one device after the other until two agree; leave their gradients in the replica, return the loss and who disagreed."""
    answers = {}
    for device in devices:
        answers[device.name] = answer(replica, rows_BT, device)
        agree = [n for n in answers if all(map(torch.equal, answers[n], answers[device.name]))]
        if len(agree) > 1:
            for p, grad in zip(replica.parameters(), answers[device.name][1:]):
                p.grad = grad
            return answers[device.name][0], answers.keys() - set(agree)
    raise RuntimeError("no two devices agree")


def train(job):
    names = [rank["device"] for rank in job.plan["ranks"]]
    spares = list(job.plan["spares"])
    convicted = {}
    for step, rows_RBT in enumerate(job.rows):
        losses = []
        for rank, (replica, rows_BT) in enumerate(zip(job.replicas, rows_RBT)):
            others = [n for n in (*spares[rank:], *spares[:rank], *names) if n != names[rank] and n not in convicted]
            ordered = [names[rank], *others] if step < 0.28 * len(job.rows) else [*others, names[rank]]
            loss_B, wrong = agreed(replica, rows_BT, [job.devices[n] for n in ordered])
            convicted |= dict.fromkeys(wrong - convicted.keys(), step)
            losses.append(loss_B.mean().item())
        spares = [n for n in spares if n not in convicted]
        names = [spares.pop() if n in convicted else n for n in names]
        all_reduce_mean(job.replicas)
        norm = update(job.replicas, job.optimizers, step, job.plan)
        job.record(step, losses, grad_norm=norm, device_per_rank=names)
    return {"devices": list(convicted), "shards": []}
