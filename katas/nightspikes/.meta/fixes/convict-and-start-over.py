# Gradients are compared until a device is convicted; then the run starts again from its first weights without that device.

# %% id="train"
import copy


def answer(replica, rows_BT, device):
    loss_B = compute(replica, rows_BT, device)
    return [loss_B, *(p.grad.clone() for p in replica.parameters())]


def train(job):
    sound = [rank["device"] for rank in job.plan["ranks"]] + job.plan["spares"]
    parts = (*job.replicas, *job.optimizers)
    first = copy.deepcopy([part.state_dict() for part in parts])
    convicted, step = set(), 0
    while step < len(job.rows):
        losses = []
        for rank, replica in enumerate(job.replicas):
            others = [n for n in sound if n != sound[rank]]
            answers = {n: answer(replica, job.rows[step, rank], job.devices[n]) for n in (*others[-2:], sound[rank])}
            for n, mine in answers.items():
                if not any(all(map(torch.equal, mine, theirs)) for m, theirs in answers.items() if m != n):
                    convicted.add(n)
            losses.append(answers[sound[rank]][0].mean().item())
        if convicted & set(sound):
            sound = [n for n in sound if n not in convicted]
            for part, old in zip(parts, copy.deepcopy(first)):
                part.load_state_dict(old)
            step = 0
            continue
        all_reduce_mean(job.replicas)
        norm = update(job.replicas, job.optimizers, step, job.plan)
        job.record(step, losses, grad_norm=norm, device_per_rank=sound[:2])
        step += 1
    return {"devices": sorted(convicted), "shards": []}
