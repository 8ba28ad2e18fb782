# Two devices compute each rank's gradients; where they disagree, a third decides, and the outvoted device is not used any more.

# %% id="train"
def answer(replica, rows_BT, device):
    loss_B = compute(replica, rows_BT, device)
    return [loss_B, *(p.grad.clone() for p in replica.parameters())]


def agreed(replica, rows_BT, devices):
    """Compute on one device after another until two agree; leave their gradients in the replica, return the loss and the outvoted devices."""
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
            loss_B, wrong = agreed(replica, rows_BT, [job.devices[n] for n in (names[rank], *others)])
            convicted |= dict.fromkeys(wrong - convicted.keys(), step)
            losses.append(loss_B.mean().item())
        spares = [n for n in spares if n not in convicted]
        names = [spares.pop() if n in convicted else n for n in names]
        all_reduce_mean(job.replicas)
        norm = update(job.replicas, job.optimizers, step, job.plan)
        job.record(step, losses, grad_norm=norm, device_per_rank=names)
    job.convicted = convicted
    return {"devices": list(convicted), "shards": []}


# %% id="diagnosis"
[(device, first)] = job.convicted.items()
recorder.save_artifact(
    "diagnosis",
    {
        "cause": "hardware",
        "first_bad_step": first,
        "device": device,
        "part_of_the_step": "forward",
        "column": "loss_per_rank",
        "action": "replace_device",
    },
)
