# %% [markdown] id="page"
# # The loss that is not a number any more
#
# **03:10.** `babygpt-73` runs on four hosts with three rows each; a fifth host is spare. Its second launch went on from the checkpoint after 100 updates,
# and a little after three o'clock the dashboard's `train_loss`, a mean of five steps over all hosts, became `nan`. Every host's loss is `nan` by now, every weight too.
# `run.log` has the times.
#
# What you are told on the hand-over call:
# - one host throttles for heat since a few minutes before, and all the others wait for it;
# - another one counted memory errors, all of them corrected, and retired a page;
# - a link was retrained, and at the very same step the loader opened the next shard, which another team had written;
# - all five hosts passed their self-test at the launch;
# - the evening shift has three proposals: `nan_to_num` on the gradients, to leave out steps whose loss is no number, or another order of the rows.
#
# You hand over three things:
# - **the run that `plan.json` asks for**, where it would be if this had not happened: all rows, the planned updates, at most 30 of them made again. It may end on the hosts that you trust
#   (four, or three with four rows each; the hosts that are in order stay in), and all its products are computed on their devices;
# - **an `apply_update` that tomorrow's launch can rely on**: from whatever gradients the ranks bring, it either makes the planned update on all ranks, weights and moments, or raises `Halt`,
#   which names the ranks whose gradients it refuses, while weights and moments of every rank are still what they were. No gradient is refused for its size, that is what `grad_clip` is for;
# - the name of **the host that goes to repair**, if you think that one has to, and your **diagnosis**.
#
# Your repair will be replayed on two other nights, with other documents, another host and another step.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import json

import matplotlib.pyplot as plt
import numpy as np
import torch
from pools import PoolRecorder
from torch.nn.utils import clip_grad_norm_

from fixtures import scene
from fixtures.recording.journal import read_telemetry, run_folder
from fixtures.training import devices
from fixtures.training.cluster import all_reduce_mean, replicate
from fixtures.training.corpus import Vocabulary
from fixtures.training.models import GPT, GPTConfig, next_token_loss

torch.set_num_threads(1)
torch.manual_seed(SEED)
night = scene.open(SEED)
folder = run_folder()
plan = json.loads((night / "plan.json").read_text())
print((night / "run.log").read_text())
print((night / "plan.json").read_text())

# %% id="documents"
table = Vocabulary.load(night / "vocabulary.json")
shards = [np.load(path) for path in sorted((night / "shards").glob("*.npy"))]  # each [document, token]
rows = torch.from_numpy(np.concatenate(shards)).long().reshape(plan["updates"], plan["rows_per_update"], -1)  # [step, row, token]
validation = torch.from_numpy(np.load(night / "validation.npy")).long()
print([len(shard) for shard in shards])
print(table.decode(rows[0, 0]))

# %% id="hosts"
health = {host: [json.loads(line) for line in (night / "hosts" / host / "health.jsonl").open()] for host in plan["hosts"]}
for host in plan["hosts"]:
    print(host, (night / "hosts" / host / "events.log").read_text(), sep="\n")
figure, axes = plt.subplots(1, 3, figsize=(11, 3))
for axis, column in zip(axes, ["compute_ms", "ecc_corrected", "link_retries"]):
    for host in plan["hosts"]:
        axis.plot([row["step"] for row in health[host]], [row[column] for row in health[host]], label=host, linewidth=1)
    axis.set_xlabel("step")
    axis.set_title(column)
axes[0].legend(fontsize="small")
figure.tight_layout()
plt.show()

# %% [markdown] id="hypothesis"
# Before you read on, write down here: after the alarm every host looks the same. What would you have to measure, on which host and *when* within a step, to
# see the one that was first?
#
# - My hypothesis:
# - The number that would prove me wrong:

# %% id="ranks"
pool = devices.open_pool(night / "devices")
in_service = list(plan["hosts"])  # rank r computes on the device of in_service[r]
replicas = replicate(GPT(GPTConfig(**plan["model"])), len(in_service))
optimizers = [
    torch.optim.AdamW(replica.parameters(), betas=tuple(plan["betas"]), weight_decay=plan["weight_decay"], fused=True) for replica in replicas
]


def place():
    """Let each rank compute on its host's device."""
    for replica, host in zip(replicas, in_service):
        devices.on(replica, pool[host])

# %% id="checkpoints"
def save(step):
    """Write what rank 0 holds after `step` updates."""
    checkpoint = {"step": step, "model": replicas[0].state_dict(), "optimizer": optimizers[0].state_dict()}
    torch.save(checkpoint, folder / "checkpoints" / f"step-{step}.pt")


def load(path):
    """Give every rank the weights and moments of a checkpoint; return the step that comes next."""
    for replica, optimizer in zip(replicas, optimizers):
        checkpoint = torch.load(path, weights_only=True)
        replica.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
    return checkpoint["step"]

# %% id="update"
class Halt(Exception):
    """The update was not made: the gradients of `ranks` are refused."""

    def __init__(self, ranks):
        super().__init__(f"ranks {ranks}")
        self.ranks = ranks


def apply_update(replicas, optimizers, learning_rate):
    """Turn the gradients that the ranks have computed, each on its own rows, into one update of all of them."""
    all_reduce_mean(replicas)
    for replica, optimizer in zip(replicas, optimizers):
        clip_grad_norm_(replica.parameters(), plan["grad_clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()

# %% id="schedule"
def learning_rate(step):
    """Warmup, then cosine to the floor."""
    warmup = min(1.0, (step + 1) / plan["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / plan["updates"]))
    return float(warmup * plan["peak_learning_rate"] * (plan["floor"] + (1 - plan["floor"]) * cosine))

# %% id="train-step"
def train_step(step):
    """Make one update on the step's rows, which the ranks share, and write its row."""
    losses = []
    for replica, rows_BT in zip(replicas, rows[step].chunk(len(in_service))):
        replica.zero_grad()
        loss = next_token_loss(replica, rows_BT)
        loss.backward()
        losses.append(loss.item())
    apply_update(replicas, optimizers, learning_rate(step))
    recorder.record(step, losses)

# %% id="run"
place()
step = load(night / "checkpoints" / f"step-{plan['from_update']}.pt")
(folder / "checkpoints").mkdir()
recorder = PoolRecorder(  # watches these four models and optimizers, whatever device they compute on
    replicas, optimizers, pool, val_tokens=validation, num_steps=plan["updates"] - plan["from_update"], keep_every=10, folder=folder
)
while step < plan["updates"]:
    if step % plan["checkpoint_every"] == 0:
        save(step)
    train_step(step)
    step += 1
recorder.finish()

# %% id="look"
telemetry = read_telemetry(folder)
figure, axes = plt.subplots(2, 1, figsize=(9, 5), sharex=True)
for rank, host in enumerate(plan["hosts"]):
    losses = [dict(enumerate(row["loss_per_rank"])).get(rank) for row in telemetry]
    axes[0].plot([row["step"] for row in telemetry], np.array(losses, dtype=float), linewidth=1, label=f"rank {rank}: {host}")
axes[1].plot([row["step"] for row in telemetry], [row["grad_norm_applied"] for row in telemetry], linewidth=1, color="black")
axes[0].set_ylabel("loss_per_rank (nats)")
axes[1].set_ylabel("grad_norm_applied (L2, rank 0)")
axes[1].set_xlabel("step (optimizer updates)")
axes[0].legend(fontsize="small")
figure.tight_layout()
plt.show()
for row in telemetry:
    if not np.isfinite([row["val_loss"], row["grad_norm_applied"], row["update_ratio"]]).all():
        print({name: row[name] for name in ("step", "loss_per_rank", "grad_norm_applied", "update_ratio", "val_loss", "checksum_per_rank")})
        break

# %% [markdown] id="questions"
# - In the first row that is printed: which numbers were measured before the ranks exchanged anything, which between that and the update, which after it?
# - What would the same rows have given on another host? You have the checkpoints, the rows and all five devices.
# - Which of the files in `folder / "checkpoints"` would you start from?

# %% id="hand-over"
# The host that goes to repair; None if none has to.
recorder.save_artifact("hand_over", {"isolated": None})

# %% id="diagnosis"
# For this night (seed 0) alone, about the run as you found it.
diagnosis = {
    "cause": "",  # data, learning_rate, optimizer_state, hardware, numerics, none
    "first_bad_step": None,  # the first step in which a rank computed something that is not finite
    "host": "",  # whose rank that was
    "first_not_finite": "",  # what on that rank: loss, gradient, moments, weights
    "action": "",  # clip, leave-out-the-steps, leave-out-the-shard, isolate-and-go-back, reorder-the-rows, start-again
}
recorder.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# Save the notebook, then `make check KATA=hostnan` in a terminal. Stuck? `make hint KATA=hostnan`.
#
# The check runs this night and, if it passes, two nights that nobody has seen. When your notebook has run, the judge calls
# `apply_update(replicas, optimizers, learning_rate)` with four ranks of its own and gradients that it has not met: keep that name, `Halt`, and its `ranks`.
