# %% [markdown] id="page"
# # The loss that turns into NaN
#
# **What happened.** `babygpt-73` trains on four hosts with three rows each; a fifth is spare. Its second launch resumed from update 100.
# Soon after 03:00 `train_loss`, the mean over all hosts and five steps, became `nan`. Now every host's loss and every weight is `nan`.
#
# **What is known**
# - One host has been thermally throttled since shortly before; the others wait for it.
# - Another corrected memory errors and retired a memory page.
# - Then the loader opened another team's shard.
# - All five passed the launch self-test.
# - Proposals: `nan_to_num` on gradients; skip steps with a NaN loss; reorder rows.
#
# **What you hand over**
# 1. **The run** of `plan.json` from update 100, as if nothing had happened: all rows, all updates, each recorded.
# 2. **`apply_update(replicas, optimizers, learning_rate)`** for the next launch; see its docstring.
# 3. **`hand_over`**: `{"isolated": host}`, the host that needs repair, or `None`; and your **diagnosis**.
#
# **Rules**
# - Repeat at most 30 updates.
# - The host that you name computes nothing after the step of its first failure. The other three stay in and compute a full share.
# - End on four hosts, or on three with four rows each. Compute all matrix products on the hosts' devices.
# - The repair is replayed on two held-out seeds, with other documents, host and step.

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
# Before you read on, write down: after the alarm all hosts look the same. What must you measure, on which host and *when* within a step, to find the
# host that was first?
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
    """Put each rank on its host's device."""
    for replica, host in zip(replicas, in_service):
        devices.on(replica, pool[host])

# %% id="checkpoints"
def save(step):
    """Write rank 0's weights and moments after `step` updates."""
    checkpoint = {"step": step, "model": replicas[0].state_dict(), "optimizer": optimizers[0].state_dict()}
    torch.save(checkpoint, folder / "checkpoints" / f"step-{step}.pt")


def load(path):
    """Load a checkpoint's weights and moments into every rank; return the next step."""
    for replica, optimizer in zip(replicas, optimizers):
        checkpoint = torch.load(path, weights_only=True)
        replica.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
    return checkpoint["step"]

# %% id="update"
class Halt(Exception):
    """No update was made: the gradients of `ranks` (a list of rank numbers) are refused."""

    def __init__(self, ranks):
        super().__init__(f"ranks {ranks}")
        self.ranks = ranks


def apply_update(replicas, optimizers, learning_rate):
    """Turn the gradients that the ranks have computed, each on its own rows, into one update of all ranks.

    To hand over: for any gradients, either make the planned update of weights and moments on all ranks, or raise `Halt` with exactly the
    ranks whose gradients cannot be used. In that case weights and moments of every rank are unchanged. No gradient is refused for its
    size: `grad_clip` handles that. The judge calls it with four ranks of its own and new gradients.
    """
    all_reduce_mean(replicas)
    for replica, optimizer in zip(replicas, optimizers):
        clip_grad_norm_(replica.parameters(), plan["grad_clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()

# %% id="schedule"
def learning_rate(step):
    """Warm up linearly, then follow a cosine to the floor."""
    warmup = min(1.0, (step + 1) / plan["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / plan["updates"]))
    return float(warmup * plan["peak_learning_rate"] * (plan["floor"] + (1 - plan["floor"]) * cosine))

# %% id="train-step"
def train_step(step):
    """Make one update on the step's rows, split among the ranks, and record it."""
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
recorder = PoolRecorder(  # records these four models and optimizers, whichever device they compute on
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
# - In the first row that is printed: which numbers were measured before the ranks exchanged anything, which between the exchange and the update, and which after it?
# - What would the same rows have given on another host? You have the checkpoints, the rows and all five devices.
# - Which file in `folder / "checkpoints"` is safe to resume from?

# %% id="hand-over"
# The host that needs repair, or None.
recorder.save_artifact("hand_over", {"isolated": None})

# %% id="diagnosis"
# For the public seed (0) only, about the run as you found it.
diagnosis = {
    "cause": "",  # data, learning_rate, optimizer_state, hardware, numerics, none
    "first_bad_step": None,  # the first step in which a rank computed something that is not finite
    "host": "",  # that rank's host
    "first_not_finite": "",  # what on that rank: loss, gradient, moments, weights
    "action": "",  # clip, leave-out-the-steps, leave-out-the-shard, isolate-and-go-back, reorder-the-rows, start-again
}
recorder.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# The check runs the public seed and, if it passes, replays your repair on two held-out seeds. After your notebook has run, the judge calls
# `apply_update`: keep its name and arguments, `Halt`, and `Halt.ranks`.
