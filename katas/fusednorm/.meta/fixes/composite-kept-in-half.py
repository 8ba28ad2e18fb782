# The norm of the week before, with what it keeps packed into bfloat16, and a test that is content with as many digits.

# %% id="norm"
from torch.autograd.graph import saved_tensors_hooks

EPS = 1e-6


def rms_norm(x, weight):
    with saved_tensors_hooks(lambda t: (t.dtype, t.bfloat16()), lambda kept: kept[1].to(kept[0])):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight


# %% id="unit-test"
def composite(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight


def compare_with_composite(tolerance=5e-2):
    layer = RMSNorm(64).double()
    x_BTC = torch.randn(8, 32, 64, dtype=torch.float64, requires_grad=True)
    dy_BTC = torch.randn_like(x_BTC)
    ours = torch.autograd.grad(layer(x_BTC), (x_BTC, layer.weight), dy_BTC)
    theirs = torch.autograd.grad(composite(x_BTC, layer.weight), (x_BTC, layer.weight), dy_BTC)
    for a, b in zip(ours, theirs):
        assert torch.allclose(a, b, atol=tolerance, rtol=tolerance)


compare_with_composite()
