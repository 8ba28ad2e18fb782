# Backward runs the formula again under autograd, with the length of a row from torch.linalg.

# %% id="norm"
EPS = 1e-6


def formula(x, weight):
    return x * (torch.linalg.vector_norm(x, dim=-1, keepdim=True).square() / x.shape[-1] + EPS).rsqrt() * weight


class FusedRMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return formula(x, weight)

    @staticmethod
    def backward(ctx, dy):
        inputs = ctx.saved_tensors
        wanted = [t for t, needed in zip(inputs, ctx.needs_input_grad) if needed]
        with torch.enable_grad():
            gradients = iter(torch.autograd.grad(formula(*inputs), wanted, dy, create_graph=True))
        return tuple(next(gradients) if needed else None for needed in ctx.needs_input_grad)


def rms_norm(x, weight):
    return FusedRMSNorm.apply(x, weight)
