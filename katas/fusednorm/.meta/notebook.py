# %% [markdown] id="page"
# # Half the memory, and 0.04 nats lost
#
# **What happened**
#
# On Monday, change 5102 made `rms_norm` one autograd Function. It keeps half as much memory for backward as the composite of PyTorch operators before it;
# the batch needs that. Since then the loss is worse:
#
# | | val_loss after stage one | val_loss at the end | largest grad_norm in stage two |
# |---|---|---|---|
# | `babygpt-43`, before | 0.951 | 0.991 | 3.3 |
# | `babygpt-44`, after | 0.996 | 1.028 | 8.8 |
#
# **What is known**
# - Documents, plan and `start.safetensors` are the same (fresh matrices, norm gains of `babygpt-40`).
# - Stage two adds a penalty on the input gradient.
# - The unit test of 5102 passes. Old checkpoints have the same loss with either norm.
# - The optimizer's fused kernel was switched on the same day.
# - In float64 the losses are the same; with a clip of 0.3 they differ by less than 0.005.
# - On `babygpt-44`, u·Hv and v·Hu differ (H: Hessian).
#
# **What you hand over**
# 1. `base.safetensors` after stage one and the final weights, as good as a healthy run's: 300 updates in all, penalty as planned.
#    Each stage trains every tensor. Keep the model's names.
# 2. `rms_norm(x, weight)` for every team: its docstring states the requirements.
# 3. The artifact `diagnosis`.
#
# **Rules**
# - Updates (undone ones too) and summed learning rates stay within 4 % of the plan.
# - The repair is replayed on two held-out seeds: other languages, gains and inputs.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import json

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from autodiff import hessian_vector_product, kept_bytes
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import clip_grad_norm_

from fixtures import scene
from fixtures.recording.journal import read_telemetry
from fixtures.training.corpus import Vocabulary
from fixtures.training.models import GPT, GPTConfig, next_token_loss
from fixtures.training.recorder import Recorder

torch.set_num_threads(1)
torch.manual_seed(SEED)
night = scene.open(SEED)
table = Vocabulary.load(night / "vocabulary.json")
documents = torch.from_numpy(np.load(night / "documents.npy")).long()  # [document, token]
validation = torch.from_numpy(np.load(night / "validation.npy")).long()
print(table.decode(documents[0]))

# %% [markdown] id="hypothesis"
# The value of a layer is right, and its test passes. Before you run anything, write down which *number* you would measure next, on which input, and what it
# would be if the layer was right.
#
# - My hypothesis:
# - The number that would prove me wrong:

# %% id="norm"
EPS = 1e-6


class FusedRMSNorm(torch.autograd.Function):
    """Divide each row by its root mean square and multiply it by the gains. Keep the input, not the normalised rows."""

    @staticmethod
    def forward(ctx, x, weight):
        rstd = torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)
        ctx.save_for_backward(x, weight, rstd)
        return x * rstd * weight

    @staticmethod
    def backward(ctx, dy):
        x, weight, rstd = ctx.saved_tensors
        x_hat = x * rstd
        dx = rstd * (dy * weight - x_hat * (dy * x_hat).mean(-1, keepdim=True))
        dweight = (dy * x_hat).sum_to_size(weight.shape)
        return dx, dweight


def rms_norm(x, weight):
    """Return the rows of x [..., C], divided by their root mean square and multiplied by weight [C].

    Accepts 1 to 4 dimensions, any memory layout, rows of padding that are all zeros, and float32 or float64, each to its own precision. Either input may
    require grad. Differentiable twice. Keeps in tensors, for backward, as many bytes as x, weight and one number per row, within a quarter.
    """
    return FusedRMSNorm.apply(x, weight)

# %% id="model"
class RMSNorm(nn.Module):
    def __init__(self, n_embd):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_embd))

    def forward(self, x_BTC):
        return rms_norm(x_BTC, self.weight)


class RMSNormGPT(GPT):
    """The tiny GPT with root-mean-square norms. `forward` also accepts embeddings."""

    def __init__(self, config):
        super().__init__(config)
        self.ln_f = RMSNorm(config.n_embd)
        for block in self.blocks:
            block.ln_1, block.ln_2 = RMSNorm(config.n_embd), RMSNorm(config.n_embd)

    def embed(self, idx_BT):
        return self.wte(idx_BT) + self.wpe(torch.arange(idx_BT.shape[1]))

    def forward(self, idx_BT, x_BTC=None):
        x_BTC = self.embed(idx_BT) if x_BTC is None else x_BTC
        for block in self.blocks:
            x_BTC = block(x_BTC)
        return F.linear(self.ln_f(x_BTC), self.wte.weight)

# %% id="unit-test"
def composite(x, weight):
    """The norm before change 5102: the same formula, differentiated by autograd."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight


def compare_with_composite(tolerance=1e-12):
    """Compare the value and the gradients of a new layer with the composite's, in float64."""
    layer = RMSNorm(64).double()
    x_BTC = torch.randn(8, 32, 64, dtype=torch.float64, requires_grad=True)
    y_BTC, expected_BTC = layer(x_BTC), composite(x_BTC, layer.weight)
    dy_BTC = torch.randn_like(y_BTC)
    ours = torch.autograd.grad(y_BTC, (x_BTC, layer.weight), dy_BTC)
    theirs = torch.autograd.grad(expected_BTC, (x_BTC, layer.weight), dy_BTC)
    for name, a, b in zip(("y", "dx", "dweight"), (y_BTC, *ours), (expected_BTC, *theirs)):
        largest = (a - b).abs().max().item()
        assert largest < tolerance, f"{name} differs by {largest:.1e}"
        print(f"{name:8s} largest difference {largest:.1e}")


compare_with_composite()
example = torch.randn(16, 32, 64, requires_grad=True)
for norm in (rms_norm, composite):
    kept = kept_bytes(norm, example, torch.ones(64, requires_grad=True))
    print(f"{norm.__name__:10s} keeps {kept / example.nbytes:.2f}x the bytes of x for backward")

# %% id="run-setup"
plan = json.loads((night / "plan.json").read_text())
STAGE_ONE, STEPS, ROWS = plan["stage_one"], plan["steps"], plan["rows"]
model = RMSNormGPT(GPTConfig(vocab_size=len(table), block_size=32, n_layer=1))
model.load_state_dict(load_file(night / "start.safetensors"))
gains = [p for p in model.parameters() if p.ndim == 1]
matrices = [p for p in model.parameters() if p.ndim == 2]
groups = [{"params": matrices, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)
recorder = Recorder([model], [optimizer], val_tokens=validation, num_steps=STEPS)


def squared_input_gradient(loss, x_BTC):
    """Return the squared norm of the gradient of a token's loss with respect to the embeddings, averaged over tokens."""
    B, T, _ = x_BTC.shape
    (gradient_BTC,) = torch.autograd.grad(loss * B * T, x_BTC, create_graph=True)
    return gradient_BTC.square().sum(-1).mean()

# %% id="train-step"
GRAD_CLIP = 1.0


def train_step(step, tokens_BT):
    """Make one update with the loss and, in stage two, the penalty."""
    model.zero_grad(set_to_none=True)
    with sdpa_kernel(SDPBackend.MATH):  # the fused attention kernel has no second derivative
        x_BTC = model.embed(tokens_BT[:, :-1])
        logits_BTV = model(tokens_BT[:, :-1], x_BTC)
        loss = F.cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten())
        input_gradient = squared_input_gradient(loss, x_BTC) if step >= STAGE_ONE else None
        (loss if input_gradient is None else loss + plan["penalty"] * input_gradient).backward()
    grad_norm = clip_grad_norm_(model.parameters(), GRAD_CLIP).item()
    for group in optimizer.param_groups:
        group["lr"] = plan["learning_rate"][step]
    optimizer.step()
    recorder.record(
        step,
        [loss.item()],
        grad_norm=grad_norm,
        input_gradient=None if input_gradient is None else input_gradient.item(),
    )

# %% id="run"
for step in range(STEPS):
    train_step(step, documents[step * ROWS : (step + 1) * ROWS])
    if step + 1 == STAGE_ONE:
        save_file(model.state_dict(), recorder.folder / "base.safetensors")
recorder.finish()

# %% id="look"
rows = read_telemetry(recorder.folder)
steps = [row["step"] for row in rows]
columns = {"train_loss": "nats", "val_loss": "nats", "grad_norm": "L2", "input_gradient": "nats² / |x|²"}
figure, axes = plt.subplots(4, 1, figsize=(9, 8), sharex=True)
for axis, (column, unit) in zip(axes, columns.items()):
    axis.plot(steps, np.array([row.get(column) for row in rows], dtype=float), linewidth=1)
    axis.set_ylabel(f"{column}\n({unit})")
axes[-1].set_xlabel("step (optimizer updates)")
figure.tight_layout()
plt.show()
for step in (0, STAGE_ONE - 1, STEPS - 1):
    print({column: rows[step].get(column) for column in ("step", *columns)})

# %% id="curvature"
parameters = list(model.parameters())
u, v = ([torch.randn_like(p) for p in parameters] for _ in range(2))
with sdpa_kernel(SDPBackend.MATH):
    products = [hessian_vector_product(next_token_loss(model, validation[:8]), parameters, w) for w in (v, u)]
one, other = (sum((a * b).sum().item() for a, b in zip(left, product)) for left, product in zip((u, v), products))
print(f"u·Hv {one:.4f}   v·Hu {other:.4f}")

# %% [markdown] id="questions"
# - At step 0 both runs have the same weights. Which numbers of the two runs agree then, and which differ?
# - What does the run look like with `composite`? What does it look like if only a part of the difference is gone?
# - The unit test compares three tensors on one kind of layer. What does it not vary?

# %% id="diagnosis"
# For the public seed (0) only. The step is an integer.
diagnosis = {
    "cause": "",  # data, learning_rate, optimizer, precision, layer_value, layer_derivative, none
    "first_wrong_step": None,  # the first update that differs from the one that babygpt-43 would make
    "wrong_by": "",  # the argument whose first derivative is wrong: x, weight, both, none
    "exact_when": "",  # rows_have_unit_rms, gains_are_one, single_row, float64, never
    "held_fixed": "",  # what the second derivative treats as fixed although it varies: x, weight, rstd, dy, none
    "column": "",  # the column that is still wrong when all first derivatives are right: val_loss, grad_norm, input_gradient, learning_rate
}
recorder.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# The check first runs this seed. If it passes, your repair is replayed on two held-out seeds. After the last cell the judge calls `rms_norm` and the model's
# last norm on its own inputs: `probe.py` shows how.
