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
        create_graph = torch.is_grad_enabled()
        inputs = [t if needed else t.detach() for t, needed in zip(ctx.saved_tensors, ctx.needs_input_grad)]
        wanted = [t for t, needed in zip(inputs, ctx.needs_input_grad) if needed]
        with torch.enable_grad():
            gradients = iter(torch.autograd.grad(formula(*inputs), wanted, dy, create_graph=create_graph))
        return tuple(next(gradients) if needed else None for needed in ctx.needs_input_grad)


def rms_norm(x, weight):
    return FusedRMSNorm.apply(x, weight)
