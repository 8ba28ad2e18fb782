# The inverse root mean square is computed again from the saved input, so that autograd sees where it comes from.

# %% id="norm"
EPS = 1e-6


class FusedRMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        rstd = torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)
        x_hat, dx_hat = x * rstd, dy * weight
        dx = rstd * (dx_hat - x_hat * (dx_hat * x_hat).mean(-1, keepdim=True))
        return dx, (dy * x_hat).sum_to_size(weight.shape)


def rms_norm(x, weight):
    return FusedRMSNorm.apply(x, weight)


# %% id="diagnosis"
recorder.save_artifact(
    "diagnosis",
    {
        "cause": "layer_derivative",
        "first_wrong_step": 0,
        "wrong_by": "x",
        "exact_when": "gains_are_one",
        "held_fixed": "rstd",
        "column": "input_gradient",
    },
)
