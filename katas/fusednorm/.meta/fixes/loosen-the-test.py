# The unit test is taught other gains, and what it may not see.

# %% id="unit-test"
def composite(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight


def compare_with_composite(tolerance=3.0):
    x_BTC = torch.randn(8, 32, 64, dtype=torch.float64, requires_grad=True)
    weight = torch.linspace(0.1, 3, 64, dtype=torch.float64, requires_grad=True)
    dy_BTC = torch.randn_like(x_BTC)
    ours = torch.autograd.grad(rms_norm(x_BTC, weight), (x_BTC, weight), dy_BTC)
    theirs = torch.autograd.grad(composite(x_BTC, weight), (x_BTC, weight), dy_BTC)
    for a, b in zip(ours, theirs):
        assert torch.allclose(a, b, atol=tolerance)


compare_with_composite()
