# %% [markdown] id="page"
# # The loss is lower than it can be
#
# **What happened**
#
# Yesterday's run ended at a validation loss near 1. `babygpt-41`, with the same data, schedule and seed, ended far below that today.
# It is 15:50; the announcement goes out at 17:00.
#
# **What is known**
# - Training loss and validation loss agree to the second digit.
# - The data team scored the validation documents with their generator: see `source_card.json`.
# - A user of the playground found the samples "odd, probably the temperature".
# - `run.log` lists the changes between the two runs.
#
# **What you hand over**
# 1. A run that may be announced and predicts as well as a healthy run. Same plan: 240 updates, same learning rates, same documents.
#    The judge calls `model(idx)` in training and evaluation mode. Tokens [B, T] give logits [B, T, V], T from 1 to 32.
# 2. The artifact `hand_over`: `{"val_loss_nats": …}`, the final model's mean loss on the validation documents. Keep these documents out of training.
# 3. The artifact `diagnosis`: what went wrong.
#
# **Rules**
# - The number of updates and the sum of the learning rates stay within 4 % of the plan. Undone updates count too.
# - The repair is replayed on two held-out seeds. Their languages differ, so a number copied from this run is wrong there.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import json

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import clip_grad_norm_

from fixtures import scene
from fixtures.recording.journal import read_telemetry
from fixtures.training.corpus import Vocabulary
from fixtures.training.models import next_token_loss
from fixtures.training.recorder import Recorder

torch.set_num_threads(1)
torch.manual_seed(SEED)
launch = scene.open(SEED)
print((launch / "run.log").read_text())
print((launch / "source_card.json").read_text())

# %% id="corpus"
table = Vocabulary.load(launch / "vocabulary.json")
train = np.load(launch / "train.npy")  # [step, row, token]
validation = torch.from_numpy(np.load(launch / "validation.npy")).long()  # B T
schedule = json.loads((launch / "schedule.json").read_text())
STEPS, VOCAB_SIZE, BLOCK_SIZE = len(train), len(table), 32
print(table.decode(train[0, 0]))

# %% [markdown] id="hypothesis"
# A model that predicts the next token of a random source cannot do better, on average, than the source itself. Before you read on, write down an
# *experiment* on the finished model that would show how this model does it.
#
# - My hypothesis:
# - The number that would prove me wrong:

# %% id="attention"
class Attention(nn.Module):
    """Multi-head self-attention with a learned sink: each head has one key and one value that belong to no token."""

    def __init__(self, n_embd, n_head):
        super().__init__()
        self.n_head = n_head
        self.c_attn = nn.Linear(n_embd, 3 * n_embd, bias=False)
        self.c_proj = nn.Linear(n_embd, n_embd, bias=False)
        self.sink_k = nn.Parameter(0.02 * torch.randn(1, n_head, 1, n_embd // n_head))
        self.sink_v = nn.Parameter(0.02 * torch.randn(1, n_head, 1, n_embd // n_head))

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.c_attn(x).view(B, T, 3, self.n_head, C // self.n_head).permute(2, 0, 3, 1, 4)  # each B N T H
        k = torch.cat([k, self.sink_k.expand(B, -1, -1, -1)], dim=2)  # B N T+1 H
        v = torch.cat([v, self.sink_v.expand(B, -1, -1, -1)], dim=2)  # B N T+1 H
        scores = (q @ k.transpose(-2, -1)) * k.shape[-1] ** -0.5  # B N T T+1
        visible = torch.ones(T, T + 1, dtype=torch.bool).tril(diagonal=1)  # one column more than rows: the sink
        weights = scores.masked_fill(~visible, float("-inf")).float().softmax(dim=-1)
        y = (weights @ v).transpose(1, 2).reshape(B, T, C)
        return self.c_proj(y)

# %% id="model"
class Block(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.attn = Attention(n_embd, n_head)
        self.mlp = nn.Sequential(nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, n_layer=2, n_embd=64, n_head=4):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCAB_SIZE, n_embd), nn.Embedding(BLOCK_SIZE, n_embd)
        self.blocks = nn.ModuleList(Block(n_embd, n_head) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
        for weight in (self.wte.weight, self.wpe.weight):
            nn.init.normal_(weight, std=0.02)

    def forward(self, idx):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))  # B T C
        for block in self.blocks:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)  # B T V

# %% id="train-step"
model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1, fused=True)
recorder = Recorder([model], [optimizer], val_tokens=validation, num_steps=STEPS)


def learning_rate(step):
    """Return the planned rate: linear warmup, then cosine decay to the floor."""
    cosine = 0.5 * (1 + np.cos(np.pi * step / schedule["steps"]))
    return min(1.0, (step + 1) / schedule["warmup_steps"]) * (schedule["floor"] + (schedule["peak"] - schedule["floor"]) * cosine)


def train_step(step):
    model.zero_grad(set_to_none=True)
    loss = next_token_loss(model, torch.from_numpy(train[step]).long())
    loss.backward()
    norm = clip_grad_norm_(model.parameters(), 1.0).item()
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    optimizer.step()
    recorder.record(step, [loss.item()], grad_norm=norm)

# %% id="run"
for step in range(STEPS):
    train_step(step)
recorder.finish()

# %% id="look"
rows = read_telemetry(recorder.folder)
floor = json.loads((launch / "source_card.json").read_text())["validation_nll_nats_per_token_under_the_source"]
figure, axis = plt.subplots(figsize=(9, 3.5))
for column in ("train_loss", "val_loss"):
    axis.plot([row["step"] for row in rows], [row[column] for row in rows], linewidth=1, label=column)
axis.axhline(floor, color="0.5", linestyle="--", label="the source itself")
axis.set_xlabel("step (optimizer updates)")
axis.set_ylabel("nats per token")
axis.legend()
figure.tight_layout()
plt.show()

# %% id="playground"
@torch.no_grad()
def sample(num_documents, generator):
    """Return documents [B, T] that the model generates, one token at a time."""
    model.eval()
    idx = torch.full((num_documents, 1), table.words.index("."))
    while idx.shape[1] < BLOCK_SIZE:
        probabilities = model(idx)[:, -1].softmax(dim=-1)  # B V
        idx = torch.cat([idx, torch.multinomial(probabilities, 1, generator=generator)], dim=1)
    model.train()
    return idx


for document in sample(3, torch.Generator().manual_seed(0)):
    print(table.decode(document), "\n")

# %% [markdown] id="questions"
# - At which step does the loss fall below the loss of the source?
# - Compare the model's loss on documents that it is given with the quality of the documents that it writes. Which input does it have in the first case only?
# - Would a bigger model, a longer run or another seed change the picture?

# %% id="hand-over"
# The announced number: mean loss of the final model on the validation documents, in nats per predicted token.
recorder.save_artifact("hand_over", {"val_loss_nats": rows[-1]["val_loss"]})

# %% id="diagnosis"
diagnosis = {
    "cause": "",  # data, labels, model, optimizer, metric, none
    "tensor": "",  # the first tensor with wrong contents: idx, x, q, k, v, scores, visible, weights, y, logits, loss, lr, none
    "modes": "",  # the modes in which it is wrong: train, eval, both, none
    "action": "",  # announce, lower-temperature, regularise, stop-early, re-evaluate, repair-and-retrain
}
recorder.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# The check first runs this launch. If it passes, your repair is replayed on two held-out seeds. After each run the judge calls `model` on documents that the
# model has not seen, in training mode and in evaluation mode: keep that name.
