# Every product of the wide layer is held against the sum of its columns, which another device computes; rows with a product that fails are computed elsewhere.

# %% id="compute"
from fixtures.training.devices import Device


class Checked(Device):
    """A device whose every product of the wide layer is checked by two others."""

    def __init__(self, device, checkers):
        self.device, self.checkers, self.wrong = device, checkers, set()

    def _product(self, layout, a_MK, b_KN):
        y_MN = self.device._product(layout, a_MK, b_KN)
        if y_MN.shape[1] != 4 * b_KN.shape[0]:
            return y_MN
        rounding_M1 = 1e-5 * (a_MK.abs() @ b_KN.abs().sum(1, keepdim=True)) + 1e-30
        for checker in self.checkers:
            sum_M1 = checker._product(layout, a_MK, b_KN.sum(1, keepdim=True))
            if bool(((y_MN.sum(1, keepdim=True) - sum_M1).abs() <= rounding_M1).all()):
                return y_MN
        self.wrong.add(self.device.name)
        return y_MN


def compute(replica, rows_BT, device):
    replica.zero_grad(set_to_none=True)
    logits_BTV = on(replica, device)(rows_BT[:, :-1])
    loss_B = F.cross_entropy(logits_BTV.transpose(1, 2), rows_BT[:, 1:], reduction="none").mean(1)
    loss_B.mean().backward()
    return loss_B.detach()


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
