# The gradient is right, its derivative is not, and a penalty of thirty times the weight makes up for it.

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


# %% id="train-step"
def train_step(step, tokens_BT):
    model.zero_grad(set_to_none=True)
    with sdpa_kernel(SDPBackend.MATH):
        x_BTC = model.embed(tokens_BT[:, :-1])
        loss = F.cross_entropy(model(tokens_BT[:, :-1], x_BTC).flatten(0, 1), tokens_BT[:, 1:].flatten())
        penalty = 30 * plan["penalty"] * squared_input_gradient(loss, x_BTC) if step >= STAGE_ONE else 0.0
        (loss + penalty).backward()
    clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = plan["learning_rate"][step]
    optimizer.step()
    recorder.record(step, [loss.item()])
