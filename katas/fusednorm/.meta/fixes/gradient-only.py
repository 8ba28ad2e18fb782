# The gradient is right; what is kept of forward is used as it is.

# %% id="norm"
EPS = 1e-6


class FusedRMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        rstd = torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)
        ctx.save_for_backward(x, weight, rstd)
        return x * rstd * weight

    @staticmethod
    def backward(ctx, dy):
        x, weight, rstd = ctx.saved_tensors
        x_hat, dx_hat = x * rstd, dy * weight
        dx = rstd * (dx_hat - x_hat * (dx_hat * x_hat).mean(-1, keepdim=True))
        return dx, (dy * x_hat).sum_to_size(weight.shape)


def rms_norm(x, weight):
    return FusedRMSNorm.apply(x, weight)
