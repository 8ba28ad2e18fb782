# ruff: noqa: F811  (cells write files that import from each other)

# %% [markdown] id="page"
# # Two GPUs that train no better than one
#
# **What happened**
#
# `babygpt-52`, the first run on two GPUs, ended last night where last week's one-GPU runs ended (`babygpt-47` to `babygpt-49`, four rows per update).
# The pilot `babygpt-51`, one large GPU with eight rows per update, was clearly better after 100 updates.
#
# **What is known**
# - The loss fell smoothly; no rank stopped.
# - Each rank reads its own half of the documents with its own data seed, and made 100 updates.
# - The ranks communicate: the logged `train_loss` is the mean over both.
# - Rank 0's validation loss has no jump or plateau.
# - The communication library warned about a host name; rank 1 was briefly slow.
# - Proposal: scale the learning rate by 2 or √2.
#
# **What you hand over**
# 1. A run on two ranks that follows `plan.json`. Per rank: a whole copy of the model and 100 updates at the planned learning rates.
#    Per update: eight rows, four from each rank. Each document once.
# 2. The artifact `diagnosis`.
#
# **Rules**
# - Both ranks' weights are equal. At every fourth step, they match one process that trains on the same rows.
# - Tolerance: 2 % of that process's move since the start, and over the last four steps.
# - Keep the Recorder's calls.
# - The repair is replayed on two held-out seeds: other documents, orders, initial weights.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import json
import sys

import matplotlib.pyplot as plt
import numpy as np

from fixtures import scene
from fixtures.recording.journal import read_telemetry, run_folder, write_artifact
from fixtures.training.corpus import Vocabulary
from fixtures.training.ranks import launch

night = scene.open(SEED)
folder = run_folder()
sys.path.insert(0, str(folder))  # the ranks import the files that the cells below write
print((night / "run.log").read_text())
print((night / "plan.json").read_text())
print(*sorted(str(p.relative_to(night)) for p in night.rglob("*") if p.is_file()), sep="\n")

# %% id="documents"
table = Vocabulary.load(night / "vocabulary.json")
documents = np.load(night / "documents.npy")  # [document, token]
orders = [np.load(night / f"order-rank{rank}.npy") for rank in range(2)]  # each [step, row]: document
print(f"{len(documents)} documents; rank 0 reads {orders[0].size}, rank 1 reads {orders[1].size}")
print(table.decode(documents[orders[0][0, 0]]))
print(table.decode(documents[orders[1][0, 0]]))

# %% [markdown] id="hypothesis"
# The next three cells write the files that both ranks run: `plan.py`, `model.py` and `worker.py`. The cell after them starts the ranks. Before you run them,
# write down what you expect of two ranks at each step of a right run, beyond a falling loss.
#
# - My hypothesis:
# - The number that would prove me wrong:

# %% id="plan"
# %%writefile {folder}/plan.py
"""Read the plan and the files of the scene."""

import json

import numpy as np
import torch


def read(night, rank):
    """Return the plan, a rank's rows [step, B, T] and the validation documents [B, T]."""
    plan = json.loads((night / "plan.json").read_text())
    documents = torch.from_numpy(np.load(night / "documents.npy")).long()
    order = np.load(night / f"order-rank{rank}.npy")
    validation = torch.from_numpy(np.load(night / "validation.npy")).long()
    return plan, documents[order], validation


def learning_rate(step, plan):
    """Return the planned rate: linear warmup, then cosine decay to the floor."""
    warmup = min(1.0, (step + 1) / plan["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / plan["updates"]))
    return warmup * plan["peak_learning_rate"] * (plan["floor"] + (1 - plan["floor"]) * cosine)

# %% id="model"
# %%writefile {folder}/model.py
"""The model and the loss that it is trained on."""

import torch.nn.functional as F
from torch import nn

from fixtures.training.models import GPT, GPTConfig


class LanguageModel(nn.Module):
    """A GPT with its loss."""

    def __init__(self, **config):
        super().__init__()
        self.gpt = GPT(GPTConfig(**config))

    def forward(self, idx_BT):
        """Return logits [B, T, V]."""
        return self.gpt(idx_BT)

    def loss(self, tokens_BT):
        """Return the mean cross entropy in nats of tokens 1..T-1 given those before them."""
        logits_BTV = self(tokens_BT[:, :-1])
        return F.cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten())

# %% id="worker"
# %%writefile {folder}/worker.py
"""The program of each rank."""

import torch
import torch.distributed as dist
from model import LanguageModel
from plan import learning_rate, read
from safetensors.torch import load_file
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from fixtures.training.recorder import Recorder


def train(rank, world_size, night, folder):
    """Train on this rank's rows, one update per step."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    plan, rows_SBT, validation_BT = read(night, rank)
    model = LanguageModel(**plan["model"])
    model.gpt.load_state_dict(load_file(night / "init.safetensors"))
    model = DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), betas=plan["betas"], weight_decay=plan["weight_decay"], fused=True)
    recorder = Recorder(
        [model.module.gpt], [optimizer], val_tokens=validation_BT, num_steps=plan["updates"], keep_every=4, folder=folder, rank=rank
    )
    for step in range(plan["updates"]):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, plan)
        optimizer.zero_grad()
        loss = model.module.loss(rows_SBT[step])
        loss.backward()
        grad_norm = clip_grad_norm_(model.parameters(), plan["grad_clip"])
        optimizer.step()

        mean_loss = loss.detach().clone()
        dist.all_reduce(mean_loss)
        recorder.record(step, [mean_loss.item() / world_size], grad_norm=grad_norm.item())
    recorder.finish()
    dist.destroy_process_group()

# %% id="run"
launch(folder / "worker.py", "train", 2, night, folder, folder=folder)
print(*sorted(p.name for p in folder.iterdir() if p.suffix in (".jsonl", ".py")), sep="\n")

# %% id="look"
def earlier(name):
    return [json.loads(line) for line in (night / "earlier" / f"{name}.jsonl").open()]


rows = read_telemetry(folder)
last_week = [earlier(name) for name in ("babygpt-47", "babygpt-48", "babygpt-49")]
pilot = earlier("babygpt-51")
figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharex=True)
for axis, column in zip(axes, ["train_loss", "val_loss"]):
    for runs, color, label in [
        (last_week, "tab:gray", "last week: one GPU, 4 rows per update"),
        ([pilot], "tab:green", "pilot: one GPU, 8 rows per update"),
        ([rows], "tab:red", "this run, as the dashboard shows it"),
    ]:
        for run in runs:
            axis.plot([row["step"] for row in run], [row[column] for row in run], color=color, linewidth=1, label=label)
            label = None
    axis.set_xlabel("step (optimizer updates)")
    axis.set_ylabel(f"{column} (nats)")
axes[1].legend(fontsize="small")
figure.tight_layout()
plt.show()
print("val_loss after the last step, nats")
print(f"last week {[round(run[-1]['val_loss'], 3) for run in last_week]}, pilot {pilot[-1]['val_loss']:.3f}, this run {rows[-1]['val_loss']:.3f}")

# %% [markdown] id="questions"
# - The dashboard reads `telemetry.jsonl`. Which rank wrote it, and which other files did the run write?
# - Which columns of a row must be equal on two ranks that follow the plan, and which may differ?
# - One step computes four rows on each rank. What does a rank send in that step, and how many numbers? Count them; `torch.profiler` shows them.
# - Would a higher learning rate, more steps or another order change the columns?

# %% id="diagnosis"
# For the public seed (0) only, about the run as you found it.
diagnosis = {
    "cause": "",  # data, learning_rate, optimizer_state, hardware, distributed, none
    "first_bad_step": None,  # the first step whose telemetry shows the fault
    "column": "",  # a telemetry column that shows the fault
    "values_exchanged_per_step": None,  # how many numbers one rank sends to the other in one step
    "action": "",  # scale_learning_rate, reseed_ranks, replace_rank, restart, repair_training_step, train_longer, none
}
write_artifact(folder, "diagnosis", diagnosis)

# %% [markdown] id="check"
# The check first runs this seed. If it passes, your repair is replayed on two held-out seeds.
