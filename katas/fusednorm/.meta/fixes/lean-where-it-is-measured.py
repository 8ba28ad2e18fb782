# A lean Function for the model's own batches, the composite for everything else.

# %% id="norm"
EPS = 1e-6


def formula(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight


class FusedRMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return formula(x, weight)

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        rstd = torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)
        x_hat, dx_hat = x * rstd, dy * weight
        dx = rstd * (dx_hat - x_hat * (dx_hat * x_hat).mean(-1, keepdim=True))
        return dx, (dy * x_hat).sum((0, 1))


def rms_norm(x, weight):
    if x.dim() == 3 and x.is_contiguous() and x.dtype == torch.float32:
        return FusedRMSNorm.apply(x, weight)
    return formula(x, weight)
