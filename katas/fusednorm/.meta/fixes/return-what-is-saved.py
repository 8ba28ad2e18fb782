# The inverse root mean square is a second output: it is still kept, one number a row, and has a place in the graph.

# %% id="norm"
EPS = 1e-6


class FusedRMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        rstd = torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)
        ctx.save_for_backward(x, weight, rstd)
        return x * rstd * weight, rstd

    @staticmethod
    def backward(ctx, dy, drstd):
        x, weight, rstd = ctx.saved_tensors
        dx_hat = dy * weight
        drstd = drstd + (dx_hat * x).sum(-1, keepdim=True)
        return rstd * dx_hat - drstd * rstd**3 * x / x.shape[-1], (dy * x * rstd).sum_to_size(weight.shape)


def rms_norm(x, weight):
    y, _ = FusedRMSNorm.apply(x, weight)
    return y
