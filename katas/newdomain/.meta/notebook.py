# %% [markdown] id="page"
# # The loss that jumps and stays up
#
# **What happened**
#
# It is 03:05. The guard of `babygpt-47` refuses an update whose loss stands out from the last thirty losses. At the first jump (1 to 2 nats)
# it refused four updates, and the loss recovered. At 02:10 the loss went to almost 4 and stayed; few updates were made since.
#
# **What is known**
#
# - Nobody looked into the first jump.
# - At 02:10 node-c took over a rank, a few steps after a planned learning-rate re-warm.
# - The shards opened at 02:10 come from another team's new writer.
# - The gradient norm is several times its usual value; `val_loss` (last week's documents) does not move.
# - The evening shift would hold back whatever the guard refused.
#
# **What you hand over**
#
# 1. A run that you would ship, as `plan.json` and `order.npy` have it; every update recorded; equal weights on both ranks.
# 2. `hand_over`: what the next run must hold back. Form: last cells.
# 3. `diagnosis`.
#
# **Rules**
#
# - Updates (300) and sum of learning rates: within 2 %. On top, at most 30 repeated updates.
# - Train as planned, once, with full weight, on at least 99 % of what is fit. Keep no update on unfit documents.
# - `hand_over`: documents at least 90 % complete and 90 % correct; no rank or change named needlessly.
# - Your repair is replayed on two held-out seeds: same fault, elsewhere.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import json

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.nn.utils import clip_grad_norm_

from fixtures import scene
from fixtures.recording.journal import read_telemetry
from fixtures.training.cluster import all_reduce_mean, grad_norm, replicate
from fixtures.training.corpus import Vocabulary
from fixtures.training.models import GPT, GPTConfig
from fixtures.training.recorder import Recorder

torch.set_num_threads(1)
torch.manual_seed(SEED)
night = scene.open(SEED)
plan = json.loads((night / "plan.json").read_text())
print((night / "run.log").read_text())
print(*sorted(str(p.relative_to(night)) for p in night.rglob("*") if p.is_file()), sep="\n")

# %% [markdown] id="hypothesis"
# Before you run anything, write down here: there are two jumps and one guard. What would you have to see to treat both jumps alike? What to treat
# them differently? Name one number each for the data, the learning rate, the optimizer state and the hardware.
#
# - My hypothesis:
# - The column that would prove me wrong:

# %% id="corpus"
table = Vocabulary.load(night / "vocabulary.json")
manifest = [json.loads(line) for line in (night / "manifest.jsonl").open()]
source_of = {(m["shard"], m["document"]): m["source"] for m in manifest}
shards = [np.load(path) for path in sorted((night / "shards").glob("*.npy"))]  # each [document, token]
order = np.load(night / "order.npy")  # [step, rank, row, 2]: shard, document
STEPS, WORLD_SIZE = order.shape[:2]


def text(shard, document):
    return table.decode(shards[shard][document])


print(text(0, 0))

# %% id="data-loader"
def read(shard, document):
    """Return the tokens of one document, [T]."""
    return shards[shard][document]


def documents_for(step):
    """Return, for each rank, the (shard, document) pairs of this step."""
    return [[(int(s), int(d)) for s, d in order[step, rank]] for rank in range(WORLD_SIZE)]


def load(documents):
    """Return the tokens of the documents, [B, T]."""
    return torch.from_numpy(np.stack([read(s, d) for s, d in documents])).long()

# %% id="model"
model = GPT(GPTConfig(**plan["model"]))
model.load_state_dict(load_file(night / "init.safetensors"))
replicas = replicate(model, WORLD_SIZE)
optimizers = [torch.optim.AdamW(r.parameters(), betas=plan["betas"], weight_decay=plan["weight_decay"], fused=True) for r in replicas]
validation = torch.from_numpy(np.load(night / "validation.npy")).long()
recorder = Recorder(replicas, optimizers, val_tokens=validation, num_steps=STEPS, keep_every=25)


def learning_rate(step):
    """Warmup, cosine to the floor, and the planned re-warm with its decay."""
    warmup = min(1.0, (step + 1) / plan["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / plan["updates"]))
    since = step - plan["rewarm_step"]
    rewarm = 1 + (plan["rewarm_factor"] - 1) * max(0.0, 1 - since / plan["rewarm_decay_updates"]) * (since >= 0)
    return float(warmup * rewarm * (plan["floor"] + (plan["peak_learning_rate"] - plan["floor"]) * cosine))


def document_losses(replica, tokens_BT):
    """Return each document's loss in nats per token, [B]."""
    logits_BTV = replica(tokens_BT[:, :-1])
    return F.cross_entropy(logits_BTV.transpose(1, 2), tokens_BT[:, 1:], reduction="none").mean(1)

# %% id="guard"
GUARD_RATIO = 1.6
usual = []  # losses of the updates that were made: a refused loss must not raise the threshold for the next one
refused = {}  # step: documents per rank


def stands_out(step, loss, documents_per_rank):
    """Return whether a loss stands out from those of the last thirty updates."""
    if step > 60 and loss > GUARD_RATIO * np.median(usual[-30:]):
        refused[step] = documents_per_rank
        return True
    usual.append(loss)
    return False

# %% id="train-step"
def train_step(step, documents_per_rank):
    """One data-parallel update: forward and backward on each rank, average, clip, step."""
    losses = []  # [rank][row]
    for replica, documents in zip(replicas, documents_per_rank):
        replica.zero_grad(set_to_none=True)
        loss_B = document_losses(replica, load(documents))
        loss_B.mean().backward()
        losses.append(loss_B.tolist())
    all_reduce_mean(replicas)
    norm = grad_norm(replicas[0].parameters())
    if not stands_out(step, np.mean(losses[0] + losses[1]), documents_per_rank):
        for replica, optimizer in zip(replicas, optimizers):
            clip_grad_norm_(replica.parameters(), plan["grad_clip"])
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step)
            optimizer.step()
    recorder.record(
        step,
        [np.mean(rank) for rank in losses],
        grad_norm=norm,
        loss_per_document=losses,
        documents_per_rank=documents_per_rank,
    )

# %% id="run"
for step in range(STEPS):
    train_step(step, documents_for(step))
recorder.finish()

# %% id="look"
rows = read_telemetry(recorder.folder)
steps = [row["step"] for row in rows]
figure, axes = plt.subplots(5, 1, figsize=(9, 9), sharex=True)
columns = {"train_loss": "nats", "val_loss": "nats", "grad_norm": "L2", "learning_rate": "per update", "update_ratio": "share of weights"}
for axis, (column, unit) in zip(axes, columns.items()):
    axis.plot(steps, np.array([row.get(column) for row in rows], dtype=float), linewidth=1)
    axis.set_ylabel(f"{column}\n({unit})")
axes[-1].set_xlabel("step (optimizer updates)")
figure.tight_layout()
plt.show()

# %% [markdown] id="questions"
# Take both jumps and go through them row by row: `rows[step]` holds everything that was measured, and `sorted(rows[0])` names the columns.
#
# - `loss_per_document` goes with `documents_per_rank`, and `source_of` tells the source of a document. Which rows of a step are high, and which are not?
# - `changes.json` lists the planned changes. One is near each jump, others are not. What effect did the others have?
# - Read a few of the documents whose loss is high: `text(shard, document)`.
# - Since 02:10 the model has hardly changed. How could you tell a loss that would fall from one that would not?

# %% id="hand-over"
# What the next run (06:00) must hold back. Now: whatever the guard refused.
hold_back_documents = sorted({pair for documents_per_rank in refused.values() for documents in documents_per_rank for pair in documents})
cordon_ranks = []
changes_to_revert = []  # numbers, as in changes.json; like a rank, a change that is named needlessly is wrong

recorder.save_artifact(
    "hand_over",
    {"documents": hold_back_documents, "ranks": cordon_ranks, "changes": changes_to_revert},
)

# %% id="diagnosis"
# For the public seed (0) only; causes are data, learning_rate, optimizer_state, hardware, none.
diagnosis = {
    "first_jump": "",  # cause
    "second_jump": "",  # cause; none if nothing is wrong
    "second_jump_step": None,  # its first step
    "source": "",  # of the documents that are high in the second jump
    "column": "",  # a telemetry column that shows in which way the two jumps differ
    "action": "",  # on the second jump: quarantine, skip, rewind, clip, lower_learning_rate, cordon_rank, none
}
recorder.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# The check runs this seed. If it passes, your repair is replayed on two held-out seeds.
