# %% [markdown] id="page"
# # The loss that leaves its trend after a restart
#
# **What happened**
#
# **03:20.** At three o'clock `babygpt-61` moved to another node and restarted. Within twenty updates its losses left their trend,
# and they have not come back. Last week's run had the same plan and no restart.
#
# **What is known**
#
# - node-b was drained for memory errors, all corrected. node-f passed its burn-in.
# - The restart script compared the weights with the checkpoint: equal, bit for bit.
# - The states of model, optimizer, scheduler and reader are saved and loaded.
# - At that step the loader opened another team's shard.
# - The dashboard's learning-rate curve passes the restart smoothly, as planned.
# - The evening shift would use a third of the learning rate and a harder clip.
#
# **What you hand over**
#
# 1. The run that `plan.json` asks for, by `save(run)`, `resume()` and `train_step(run)`: with the weights, at every step, of a run without restart.
# 2. `diagnosis`, for seed 0 only.
#
# **Rules**
#
# - The second launch has only what is on disk, and makes all later steps.
# - Every step has one recorded update on its own rows, at the planned learning rates (nine digits). It starts from exactly the previous
#   weights and moments.
# - Repeat at most 30 updates.
# - Your repair is replayed on two held-out seeds: other documents, plans and restart steps.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import json
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from restarts import Process, RestartRecorder
from safetensors.torch import load_file
from shards import ShardReader
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import LambdaLR

from fixtures import scene
from fixtures.recording.journal import read_telemetry, run_folder
from fixtures.training.corpus import Vocabulary
from fixtures.training.models import GPT, GPTConfig, next_token_loss

torch.set_num_threads(1)
torch.manual_seed(SEED)
night = scene.open(SEED)
folder = run_folder()
plan = json.loads((night / "plan.json").read_text())
launches = json.loads((night / "launches.json").read_text())
print((night / "run.log").read_text())
print((night / "plan.json").read_text())

# %% id="documents"
table = Vocabulary.load(night / "vocabulary.json")
STEPS, ROWS = plan["updates"], plan["rows_per_update"]
validation = torch.from_numpy(np.load(night / "validation.npy")).long()
print({path.name: len(np.load(path)) for path in sorted((night / "shards").glob("*.npy"))})
print(table.decode(next(ShardReader(night / "shards", ROWS))[0]))

# %% [markdown] id="hypothesis"
# Before you run anything, write down: a restart reassembles a run from parts. Which parts are there? What would the first ten updates
# look like if one of them was missing or replaced? Node and shard are two of them.
#
# - My hypothesis:
# - The column that would prove me wrong:

# %% id="parts"
@dataclass
class Run:
    """The parts of a run that live in the training process."""

    model: GPT
    optimizer: torch.optim.AdamW
    reader: ShardReader
    scheduler: LambdaLR
    step: int = 0  # the next update


PARTS = ("model", "optimizer", "reader", "scheduler")  # the parts that have a state


def factor(rows_read):
    """Warmup, then cosine to the floor, as a fraction of the peak. By rows, because the batch size of larger runs grows."""
    step = rows_read / ROWS
    warmup = min(1.0, (step + 1) / plan["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / plan["updates"]))
    return float(warmup * (plan["floor"] + (1 - plan["floor"]) * cosine))


planned = [plan["peak_learning_rate"]["matrices"] * factor(ROWS * step) for step in range(STEPS)]

# %% id="build"
def build():
    """Return a run with the plan's settings and random weights."""
    model = GPT(GPTConfig(**plan["model"]))
    matrices = [p for name, p in model.named_parameters() if name.startswith("blocks") and p.ndim == 2]
    others = [p for name, p in model.named_parameters() if not (name.startswith("blocks") and p.ndim == 2)]
    groups = [
        {"params": params, "lr": plan["peak_learning_rate"][name], "weight_decay": plan["weight_decay"][name]}
        for name, params in [("matrices", matrices), ("embeddings_and_norms", others)]
    ]
    optimizer = torch.optim.AdamW(groups, betas=plan["betas"], fused=True)
    reader = ShardReader(night / "shards", ROWS)
    return Run(model, optimizer, reader, LambdaLR(optimizer, lambda _: factor(reader.rows_read)))


def start():
    """Return the run as it is before its first update."""
    run = build()
    run.model.load_state_dict(load_file(night / "init.safetensors"))
    return run

# %% id="save"
def save(run):
    """Write a checkpoint of `run` to disk. Called every 25 updates, and when a node is drained."""
    checkpoint = {"step": run.step, "random_state": torch.get_rng_state()}
    for part in PARTS:
        checkpoint[part] = getattr(run, part).state_dict()
    torch.save(checkpoint, folder / "checkpoints" / f"step-{run.step:03d}.pt")

# %% id="resume"
def resume():
    """Rebuild the run from the files in `folder` and return it. Called once, when the second launch begins."""
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    for part in PARTS:
        getattr(run, part).load_state_dict(checkpoint[part])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    return run

# %% id="train-step"
def train_step(run):
    """Make the next update of the run and record its row."""
    run.optimizer.zero_grad()
    loss = next_token_loss(run.model, torch.from_numpy(next(run.reader)).long())
    loss.backward()
    grad_norm = clip_grad_norm_(run.model.parameters(), plan["grad_clip"])
    run.optimizer.step()
    run.scheduler.step()
    recorder.record(
        run.step,
        [loss.item()],
        grad_norm=grad_norm.item(),
        rows_read=run.reader.rows_read,
        planned_learning_rate=planned[run.step],
    )
    run.step += 1

# %% id="run"
def train(run, until):
    while run.step < until:
        train_step(run)
        if run.step % plan["checkpoint_every"] == 0:
            save(run)


(folder / "checkpoints").mkdir()
restart = json.loads((night / "launches.json").read_text())[1]["from_step"]
process = Process(globals())
run = start()
recorder = RestartRecorder(run.model, run.optimizer, val_tokens=validation, num_steps=STEPS, keep_every=10, folder=folder)
train(run, until=restart)
save(run)

process.end(keep=["recorder"])  # node-b is gone, and everything that was not written is lost
run = resume()
recorder.follow(run.model, run.optimizer)
train(run, until=STEPS)
recorder.finish()

# %% id="look"
SHOWN_FROM = 150  # step; earlier losses would hide the restart
rows = read_telemetry(folder)
last_week = [json.loads(line) for line in (night / "earlier" / "babygpt-60.jsonl").open()]
columns = {"train_loss": "nats", "val_loss": "nats", "grad_norm": "L2", "planned_learning_rate": "dashboard"}
figure, axes = plt.subplots(len(columns), 1, figsize=(9, 9), sharex=True)
for axis, (column, unit) in zip(axes, columns.items()):
    for run_rows, color, label in [(last_week, "tab:gray", "last week"), (rows, "tab:red", "this run")]:
        values = np.array([row.get(column) for row in run_rows], dtype=float)
        axis.plot([row["step"] for row in run_rows][SHOWN_FROM:], values[SHOWN_FROM:], color=color, linewidth=1, label=label)
    axis.axvline(launches[1]["from_step"], color="black", linewidth=0.5)
    axis.set_ylabel(f"{column}\n({unit})")
axes[0].legend(fontsize="small")
axes[-1].set_xlabel("step (optimizer updates); the line is the restart")
figure.tight_layout()
plt.show()

# %% [markdown] id="questions"
# `rows[step]` holds everything that was recorded for a step. `sorted(rows[0])` lists the columns.
#
# - `train_loss` is measured before the update of its step, `val_loss` after it. Which rose first, and how many updates after the restart?
# - What was the loss of the new shard's rows under the earlier weights? What would it be in last week's run?
# - Which columns are measured in the model and the optimizer, and which are copied from elsewhere?
# - Which columns change at the restart, which one update later, and which only once the loss is up?

# %% id="diagnosis"
# For seed 0 only, about the run as you found it.
diagnosis = {
    "cause": "",  # data, learning_rate, optimizer_state, hardware, numerics, none
    "first_bad_step": None,  # the first step with a wrong update
    "shard": None,  # its number, or None if no shard is involved
    "column": "",  # a telemetry column that shows the fault
    "lost_at_the_restart": "",  # weights, moments, random_state, place_in_the_data, place_in_the_schedule, nothing
}
recorder.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# The check runs seed 0 first. If that passes, it runs two held-out seeds. The judge makes the same 300 updates without a restart, and
# compares the weights that your run kept with its own.
