# %% [markdown] id="page"
# # The second step after the move
#
# **What happened**
#
# **03:05.** Site east went down for maintenance. The last checkpoint of `babygpt-61` was packed, sent and resumed at site west. The first
# step there was ordinary. At the second, `train_loss` was several nats higher. It came down, but the run ends worse than it should.
# Resuming the same packet again gives the same jump.
#
# **What is known**
#
# - Learning rate and data continue: west began with the next eight documents.
# - They are the first of a new shard, and the node is new to `babygpt-61`.
# - Shortly before the checkpoint, the gradient norm was the highest in a while.
# - The packet was checked on arrival: weights equal; the norm over the optimizer's tensors, counters aside, equal to three digits.
# - In spring `babygpt-44` was resumed with a fresh optimizer, without a jump. The evening shift would repeat that.
#
# **What you hand over**
#
# 1. The run as if nobody had moved it: the rest of the 300 updates of `plan.json`, from either of east's checkpoints, by
#    `pack(checkpoint, packet)`, `unpack(packet)` and `train_step(step)`.
# 2. `diagnosis`, for seed 0 only.
#
# **Rules**
#
# - Documents in order, planned learning rates, every update recorded, at most 60 repeated.
# - Your repair is replayed on two held-out seeds, with other documents, weights and moves.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import json

import matplotlib.pyplot as plt
import numpy as np
import torch
from packets import read_packet, write_packet
from safetensors.torch import load_file
from torch.nn.utils import clip_grad_norm_

from fixtures import scene
from fixtures.recording.journal import read_telemetry, run_folder
from fixtures.training.corpus import Vocabulary
from fixtures.training.models import GPT, GPTConfig, next_token_loss
from fixtures.training.recorder import Recorder

torch.set_num_threads(1)
torch.manual_seed(SEED)
night = scene.open(SEED)
folder = run_folder()
print((night / "run.log").read_text())
print((night / "plan.json").read_text())
print(*sorted(str(p.relative_to(night)) for p in night.rglob("*") if p.is_file()), sep="\n")

# %% [markdown] id="hypothesis"
# Before you run anything, write down: the first step's loss was good and the second's was not. Which of its columns would show whether the
# documents, the node, the learning rate or something in the packet is the cause, and at which of the two steps?
#
# - My hypothesis:
# - The number that would prove me wrong:

# %% id="documents"
plan = json.loads((night / "plan.json").read_text())
STEPS, ROWS = plan["updates"], plan["rows_per_update"]
table = Vocabulary.load(night / "vocabulary.json")
shards = [np.load(path) for path in sorted((night / "shards").glob("*.npy"))]  # each [document, token], read in this order
documents = torch.from_numpy(np.concatenate(shards)).long()
validation = torch.from_numpy(np.load(night / "validation.npy")).long()
checkpoints = sorted((night / "checkpoints").iterdir())


def rows_for(step):
    """Return the documents of a step, [B, T]."""
    return documents[step * ROWS : (step + 1) * ROWS]


print([len(shard) for shard in shards], [path.name for path in checkpoints])
print(table.decode(rows_for(0)[0]))

# %% id="model"
def build():
    """Return a new model and its new optimizer."""
    model = GPT(GPTConfig(**plan["model"]))
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": plan["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}]
    return model, torch.optim.AdamW(groups, betas=tuple(plan["betas"]), fused=True)


def learning_rate(step):
    """Return a step's planned rate: warmup, then cosine to the floor."""
    warmup = min(1.0, (step + 1) / plan["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / STEPS))
    return warmup * plan["peak_learning_rate"] * (plan["floor"] + (1 - plan["floor"]) * cosine)

# %% id="pack"
def pack(checkpoint, packet):
    """Write to the folder `packet` what is sent of a checkpoint: weights and the optimizer's tensors, as its manifest says."""
    tensors = load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")
    write_packet(packet, tensors, json.loads((checkpoint / "manifest.json").read_text()))

# %% id="unpack"
def unpack(packet):
    """Return model, optimizer and the next step, from the folder `packet`."""
    model, optimizer = build()
    tensors, manifest = read_packet(packet)
    model.load_state_dict({name: tensors[name] for name, _ in model.named_parameters()})
    for name, parameter in model.named_parameters():
        optimizer.state[parameter] = {kind: tensors[f"{name}/{kind}"] for kind in ("step", "exp_avg", "exp_avg_sq")}
    return model, optimizer, manifest["updates"]

# %% id="resume"
checkpoint = checkpoints[-1]
pack(checkpoint, folder / "packet")
model, optimizer, first_step = unpack(folder / "packet")

# %% id="arrival"
def norm(tensors):
    return sum(float(t.float().norm()) ** 2 for t in tensors) ** 0.5


sent = load_file(checkpoint / "optimizer.safetensors")
arrived = [tensor for state in optimizer.state.values() for tensor in state.values()]
weights = load_file(checkpoint / "model.safetensors")
equal = all(torch.equal(p, weights[name]) for name, p in model.named_parameters())
print(f"{checkpoint.name}: next step {first_step}; weights equal: {equal}")
print(f"{len(sent)} other tensors sent, {len(arrived)} arrived; norm without counters ", end="")
print(*(f"{norm(t for t in found if t.ndim):.3g}" for found in (sent.values(), arrived)), sep=" sent, ", end=" arrived\n")
recorder = Recorder([model], [optimizer], val_tokens=validation, num_steps=STEPS, keep_every=5, folder=folder)

# %% id="train-step"
def train_step(step):
    """Make the update of `step` and record its row."""
    optimizer.zero_grad()
    loss = next_token_loss(model, rows_for(step))
    loss.backward()
    grad_norm = clip_grad_norm_(model.parameters(), plan["grad_clip"])
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    optimizer.step()
    recorder.record(step, [loss.item()], grad_norm=grad_norm.item())

# %% id="run"
for step in range(first_step, STEPS):
    train_step(step)
recorder.finish()

# %% id="look"
before = [json.loads(line) for line in (night / "before-the-move.jsonl").open()]
rows = read_telemetry(folder)
figure, axes = plt.subplots(4, 1, figsize=(9, 8), sharex=True)
columns = [("train_loss", "nats"), ("val_loss", "nats"), ("grad_norm", "L2"), ("update_ratio", "of the weights' norm")]
for axis, (column, unit) in zip(axes, columns):
    for part, color, site in [(before, "tab:gray", "east"), (rows, "tab:red", "west")]:
        axis.plot([row["step"] for row in part], [row[column] for row in part], color=color, linewidth=1, label=site)
    axis.set_ylabel(f"{column}\n({unit})")
axes[2].set_yscale("log")
axes[3].set_yscale("log")
axes[0].legend()
axes[-1].set_xlabel("step (optimizer updates)")
figure.tight_layout()
plt.show()
for row in before[-2:] + rows[:4]:
    print({"step": row["step"]} | {column: float(f"{row[column]:.4g}") for column, _ in columns})

# %% [markdown] id="questions"
# - `train_loss` is measured before the update of its step, `val_loss` after it. Which rose first, and at which step?
# - `update_ratio` is the size of an update relative to the weights. What determines an update, and which of these things did you see arrive?
# - The manifest has the norm of each tensor. How can two tensors with equal norms still differ?
# - What would a fresh optimizer change, and would you see it in the loss?

# %% id="diagnosis"
# For seed 0 only, about the run as you found it.
diagnosis = {
    "cause": "",  # data, learning_rate, optimizer_state, hardware, none
    "first_bad_step": None,  # the first step whose update is wrong
    "did_not_arrive": "",  # weights, step, exp_avg, exp_avg_sq, next_document, none
    "column": "",  # a telemetry column that shows the fault at that step
    "action": "",  # clip, lower_learning_rate, skip_documents, replace_node, fresh_optimizer, repair_the_transfer, none
}
recorder.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# The check runs seed 0 first. If that passes, it runs two held-out seeds. The judge makes all 300 updates at one site, and compares the
# weights that your run kept with its own.
