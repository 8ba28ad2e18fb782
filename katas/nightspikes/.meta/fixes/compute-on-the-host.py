# The rows are computed without any device.

# %% id="compute"
def compute(replica, rows_BT, device):
    """Forward and backward of a rank's rows on a device: leave the gradients in the replica, return the loss of each row in nats, [B]."""
    for module in replica.modules():
        if isinstance(module, torch.nn.Linear):
            module.__class__ = torch.nn.Linear
    replica.zero_grad(set_to_none=True)
    logits_BTV = replica(rows_BT[:, :-1])
    loss_B = F.cross_entropy(logits_BTV.transpose(1, 2), rows_BT[:, 1:], reduction="none").mean(1)
    loss_B.mean().backward()
    return loss_B.detach()
