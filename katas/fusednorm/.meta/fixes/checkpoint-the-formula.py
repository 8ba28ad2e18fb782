# The plain formula, run again in backward by PyTorch's own checkpoint.

# %% id="norm"
from torch.utils.checkpoint import checkpoint

EPS = 1e-6


def formula(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight


def rms_norm(x, weight):
    return checkpoint(formula, x, weight, use_reentrant=False, preserve_rng_state=False)
