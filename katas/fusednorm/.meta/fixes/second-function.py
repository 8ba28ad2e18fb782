# The backward is a Function of its own, with a backward worked out on paper.

# %% id="norm"
EPS = 1e-6


def row_mean(x):
    return x.mean(-1, keepdim=True)


class FusedRMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        rstd = torch.rsqrt(row_mean(x.square()) + EPS)
        ctx.save_for_backward(x, weight)
        return x * rstd * weight

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        return FusedRMSNormBackward.apply(x, weight, dy)


class FusedRMSNormBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, dy):
        rstd = torch.rsqrt(row_mean(x.square()) + EPS)
        x_hat = x * rstd
        ctx.save_for_backward(x, weight, dy)
        return rstd * (dy * weight - x_hat * row_mean(dy * weight * x_hat)), (dy * x_hat).sum_to_size(weight.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, v, u):
        x, weight, dy = ctx.saved_tensors
        C = x.shape[-1]
        rstd = torch.rsqrt(row_mean(x.square()) + EPS)
        x_hat, g = x * rstd, dy * weight
        mean_g, mean_v = row_mean(g * x_hat), row_mean(v * x_hat)
        projected_v = rstd * (v - x_hat * mean_v)
        d_rstd = C * (row_mean(g * v) - mean_g * mean_v)
        d_x_hat = dy * u - rstd * (v * mean_g + g * mean_v)
        dx = rstd * (d_x_hat - x_hat * row_mean(d_x_hat * x_hat)) - d_rstd * rstd.square() * x_hat / C
        return dx, (dy * projected_v).sum_to_size(weight.shape), weight * projected_v + u * x_hat


def rms_norm(x, weight):
    return FusedRMSNorm.apply(x, weight)
