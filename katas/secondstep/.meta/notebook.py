# %% [markdown] id="page"
# # The second step after the move
#
# **03:05.** `babygpt-61` was moved in the night, because site east went down for maintenance. Its last checkpoint was packed, sent and resumed at site west.
# The first step there looked like the last one at east. At the second, `train_loss` was several nats higher. It came down again, and the run has finished since; it ends
# worse than it should. Resuming once more from the same packet gives the same jump at the same step.
#
# What you are told on the hand-over call:
# - the learning rate goes on where it was, and so does the data: the first step at west read the next eight documents;
# - those documents are the first of a shard that nobody has read before, and the node is one that `babygpt-61` has never seen;
# - the gradient norm had its highest value in a while shortly before the checkpoint;
# - the packet was checked when it arrived: weights equal, the norm over all other tensors equal to three digits;
# - in spring `babygpt-44` was resumed with weights alone and a fresh optimizer, and showed no jump. The evening shift would do that again.
#
# You hand over **the run as it would be had nobody moved it**: the rest of the 300 updates of `plan.json`, from a checkpoint of site east's, on the documents
# in their order, with the planned learning rates. You may repeat up to 60 updates. And your **diagnosis**.
#
# Your repair will be replayed on two other nights, with other documents, other weights and other moves.

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
# Before you run anything, write down here: the first step's loss was good and the second's was not. Which of its columns would tell you whether the
# documents, the node, the learning rate or something that was carried along is to blame, and at which of the two steps?
#
# - My hypothesis:
# - The number that would prove me wrong:

# %% id="documents"
plan = json.loads((night / "plan.json").read_text())
STEPS, ROWS = plan["updates"], plan["rows_per_update"]
table = Vocabulary.load(night / "vocabulary.json")
shards = [np.load(path) for path in sorted((night / "shards").glob("*.npy"))]  # each [document, token], read one after the other
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
    """Return a model and its optimizer, both as new."""
    model = GPT(GPTConfig(**plan["model"]))
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": plan["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}]
    return model, torch.optim.AdamW(groups, betas=tuple(plan["betas"]), fused=True)


def learning_rate(step):
    """Warmup, then cosine to the floor."""
    warmup = min(1.0, (step + 1) / plan["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / STEPS))
    return warmup * plan["peak_learning_rate"] * (plan["floor"] + (1 - plan["floor"]) * cosine)

# %% id="pack"
def pack(checkpoint, packet):
    """Write a checkpoint as it is sent: weights and what the optimizer keeps, by its manifest."""
    tensors = load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")
    write_packet(packet, tensors, json.loads((checkpoint / "manifest.json").read_text()))

# %% id="unpack"
def unpack(packet):
    """Return model, optimizer and the step to go on with."""
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
print(f"{checkpoint.name}: go on with step {first_step}; weights equal: {equal}")
print(f"{len(sent)} other tensors sent, {len(arrived)} arrived; norm without counters ", end="")
print(*(f"{norm(t for t in found if t.ndim):.3g}" for found in (sent.values(), arrived)), sep=" sent, ", end=" arrived\n")
recorder = Recorder([model], [optimizer], val_tokens=validation, num_steps=STEPS, keep_every=5, folder=folder)

# %% id="train-step"
def train_step(step):
    """One update: forward, backward, clip, step."""
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
# - `train_loss` is measured before the update of its step, `val_loss` after it. Which of the two moved first, and at which step?
# - `update_ratio` says how far an update moved the weights. What goes into an update, and which of these things did you see arrive?
# - The manifest has the norm of each tensor. What can two tensors with equal norms still differ in?
# - What would a fresh optimizer change, and would you see it in the loss?

# %% id="diagnosis"
# For this night (seed 0) alone, about the run as you found it.
diagnosis = {
    "cause": "",  # data, learning_rate, optimizer_state, hardware, none
    "first_bad_step": None,  # the first step whose update is wrong
    "did_not_arrive": "",  # weights, step, exp_avg, exp_avg_sq, next_document, none
    "column": "",  # a telemetry column that shows it at that step
    "action": "",  # clip, lower_learning_rate, skip_documents, replace_node, fresh_optimizer, repair_the_transfer, none
}
recorder.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# Save the notebook, then `make check KATA=secondstep` in a terminal. Stuck? `make hint KATA=secondstep`.
#
# The check runs this night and, if it passes, two nights that nobody has seen.
