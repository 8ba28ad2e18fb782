# %% [markdown] id="page"
# # The loss that jumps and comes back
#
# **What happened**
#
# At 02:40 `babygpt-31` has alerted three times. `train_loss` rose from about 1 to between 3 and 4 nats within one step and
# recovered a few steps later. The run has finished with the usual final loss.
#
# **What is known**
#
# - The learning rate was re-warmed a few steps before the first jump, as planned.
# - The gradient norm rises with every jump. A stretch was replayed with half the clip: no jump.
# - A node had a fan warning; early on, a rank was slow.
#
# **What you hand over**
#
# 1. A run that you would ship: planned updates, learning rates and data, except what you hold back. No update on a batch whose loss jumps;
#    every update recorded; equal weights on both ranks.
# 2. `hand_over`: the documents, ranks or schedule changes that the next run must hold back. Form: last cells.
# 3. `diagnosis`.
#
# **Rules**
#
# - Updates (300) and the sum of their learning rates: within 4 % of the plan.
# - Train on at least 97 % of the documents that need not be held back.
# - Rows that must be held back enter updates at most seven times in total.
# - `hand_over`: at least 90 % complete and 90 % correct.
# - Your repair is replayed on two held-out seeds. The same fault occurs at other steps and places.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import json

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_

from fixtures import scene
from fixtures.recording.journal import read_telemetry
from fixtures.training.cluster import all_reduce_mean, grad_norm, replicate
from fixtures.training.corpus import Vocabulary
from fixtures.training.models import GPT, GPTConfig, next_token_loss
from fixtures.training.recorder import Recorder

torch.set_num_threads(1)
torch.manual_seed(SEED)
night = scene.open(SEED)
print((night / "run.log").read_text())
print(*sorted(str(p.relative_to(night)) for p in night.rglob("*") if p.is_file()), sep="\n")

# %% [markdown] id="hypothesis"
# Before you run anything, write down here: if the update was to blame, which *number* would look different one step **before** the first
# jump? Which number would not? A fault in the data, the learning rate, the optimizer state or the hardware leaves a different trace each.
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


print(manifest[0])
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
schedule = json.loads((night / "schedule.json").read_text())
replicas = replicate(GPT(GPTConfig(vocab_size=len(table), block_size=32, n_layer=1)), WORLD_SIZE)
optimizers = [torch.optim.AdamW(r.parameters(), betas=(0.9, 0.95), weight_decay=0.1, fused=True) for r in replicas]
validation = torch.from_numpy(np.load(night / "validation.npy")).long()
recorder = Recorder(replicas, optimizers, val_tokens=validation, num_steps=STEPS)


def learning_rate(step):
    """Warmup, cosine to the floor, and the planned re-warm with its decay."""
    warmup = min(1.0, (step + 1) / schedule["warmup_steps"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / STEPS))
    since = step - schedule["rewarm_step"]
    rewarm = 1 + (schedule["rewarm_factor"] - 1) * max(0.0, 1 - since / schedule["rewarm_decay_steps"]) * (since >= 0)
    return warmup * rewarm * (schedule["floor"] + (schedule["peak"] - schedule["floor"]) * cosine)

# %% id="train-step"
GRAD_CLIP = 1.0


def train_step(step, documents_per_rank):
    """One data-parallel update: forward and backward on each rank, average, clip, step."""
    losses, norms = [], []
    for replica, documents in zip(replicas, documents_per_rank):
        replica.zero_grad(set_to_none=True)
        loss = next_token_loss(replica, load(documents))
        loss.backward()
        losses.append(loss.item())
        norms.append(grad_norm(replica.parameters()))
    all_reduce_mean(replicas)
    for replica, optimizer in zip(replicas, optimizers):
        norm = clip_grad_norm_(replica.parameters(), GRAD_CLIP).item()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
    recorder.record(
        step,
        losses,
        grad_norm=norm,
        grad_norm_per_rank=norms,
        documents_per_rank=documents_per_rank,
    )

# %% id="run"
for step in range(STEPS):
    train_step(step, documents_for(step))
recorder.finish()

# %% id="look"
rows = read_telemetry(recorder.folder)
steps = [row["step"] for row in rows]
figure, axes = plt.subplots(4, 1, figsize=(9, 8), sharex=True)
for axis, column, unit in zip(axes, ["train_loss", "val_loss", "grad_norm", "learning_rate"], ["nats", "nats", "L2", "per update"]):
    axis.plot(steps, np.array([row.get(column) for row in rows], dtype=float), linewidth=1)
    axis.set_ylabel(f"{column}\n({unit})")
axes[-1].set_xlabel("step (optimizer updates)")
figure.tight_layout()
plt.show()

# %% [markdown] id="questions"
# Take one jump and go through it row by row: `rows[step]` holds everything that was measured.
#
# - Was `val_loss` already high when the first high `train_loss` was measured? `val_loss` is measured after the update of its step.
# - Did `learning_rate` or `update_ratio` change in a way that could explain the loss?
# - Which rank, and which documents? `documents_per_rank` lists (shard, document).

# %% id="hand-over"
# What the next run must hold back, as it is named now: on disk, in the cluster, in the schedule.
hold_back_documents = []  # (shard, document) pairs of plain integers
cordon_ranks = []
schedule_changes_to_revert = []  # steps

recorder.save_artifact(
    "hand_over",
    {"documents": hold_back_documents, "ranks": cordon_ranks, "schedule_changes": schedule_changes_to_revert},
)

# %% id="diagnosis"
# For the public seed (0) only; steps and shards are plain integers.
diagnosis = {
    "cause": "",  # data, learning_rate, optimizer_state, hardware, none
    "first_bad_step": None,  # the first step whose forward loss is high
    "shard": None,  # None if no shard is involved
    "column": "",  # a telemetry column that rules the other causes out
    "action": "",  # quarantine, re-encode, lower_learning_rate, clip, restore_optimizer, cordon_rank, none
}
recorder.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# The check runs this seed. If it passes, your repair is replayed on two held-out seeds.
