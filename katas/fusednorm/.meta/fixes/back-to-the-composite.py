# The norm of the week before.

# %% id="norm"
EPS = 1e-6


def rms_norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight
