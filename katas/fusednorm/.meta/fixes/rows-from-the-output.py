# The output is kept in place of the input: divided by the gains it is the normalised rows.

# %% id="norm"
EPS = 1e-6


class FusedRMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        rstd = torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)
        y = x * rstd * weight
        ctx.save_for_backward(y, weight, rstd)
        return y

    @staticmethod
    def backward(ctx, dy):
        y, weight, rstd = ctx.saved_tensors
        x_hat, dx_hat = y / weight, dy * weight
        dx = rstd * (dx_hat - x_hat * (dx_hat * x_hat).mean(-1, keepdim=True))
        return dx, (dy * x_hat).sum_to_size(weight.shape)


def rms_norm(x, weight):
    return FusedRMSNorm.apply(x, weight)
