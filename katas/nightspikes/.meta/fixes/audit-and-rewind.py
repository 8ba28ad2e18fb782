# Every nine steps the gradients of the last nine are computed anew elsewhere; at the first that differs the run goes back to before it.

# %% id="train"
import copy


def state(job):
    return copy.deepcopy([part.state_dict() for part in (*job.replicas, *job.optimizers)])


def restore(job, kept):
    for part, old in zip((*job.replicas, *job.optimizers), copy.deepcopy(kept)):
        part.load_state_dict(old)


def gradients(replica, rows_BT, device):
    compute(replica, rows_BT, device)
    return [p.grad.clone() for p in replica.parameters()]


def audited(job, step, rank, kept, made, name, sound):
    """Return the device that computed this rank's gradients otherwise than others do, None if there is none."""
    model = copy.deepcopy(job.replicas[rank])
    model.load_state_dict(kept[rank])
    for other in [n for n in reversed(sound) if n != name]:
        if all(map(torch.equal, made, gradients(model, job.rows[step, rank], job.devices[other]))):
            return None
        third = next(n for n in sound if n not in (name, other))
        believed = all(map(torch.equal, made, gradients(model, job.rows[step, rank], job.devices[third])))
        return other if believed else name
    return None


def train(job):
    everybody = [rank["device"] for rank in job.plan["ranks"]] + job.plan["spares"]
    convicted, notes, step = [], [], 0
    while step < len(job.rows):
        sound = [n for n in everybody if n not in convicted]
        notes.append((step, state(job), []))
        losses = []
        for rank, replica in enumerate(job.replicas):
            losses.append(compute(replica, job.rows[step, rank], job.devices[sound[rank]]).mean().item())
            notes[-1][2].append([p.grad.clone() for p in replica.parameters()])
        all_reduce_mean(job.replicas)
        norm = update(job.replicas, job.optimizers, step, job.plan)
        job.record(step, losses, grad_norm=norm, device_per_rank=sound[:2])
        step += 1
        if len(notes) < 9 and step < len(job.rows):
            continue
        for then, kept, made in notes:
            wrong = {audited(job, then, rank, kept, made[rank], sound[rank], sound) for rank in range(2)} - {None}
            convicted += wrong
            if wrong & set(sound[:2]):
                restore(job, kept)
                step = then
                break
            if wrong:
                sound = [n for n in sound if n not in wrong]
        notes = []
    return {"devices": convicted, "shards": []}
