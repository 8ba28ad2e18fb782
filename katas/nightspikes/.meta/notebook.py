# %% [markdown] id="page"
# # The rank whose loss is high for minutes, twice in one run
#
# **What happened.** `babygpt-63` trains on two ranks. For some minutes, twice, one rank's loss was high on most steps and ordinary on the others.
# Clipping kept the updates small; the dashboard's smoothed mean shows almost nothing. The run finished.
#
# **What is known**
# - That rank reads a new shard, clearly harder than the others. Its text hashes are verified; the data team keeps it.
# - `val_loss` is computed on a separate, daily tested device.
# - One device ran hot; another corrected memory errors; a fan was replaced during the run. Both ranks ended with equal weights.
# - Proposals: a lower clip; rank 0 alone.
#
# **What you hand over**
# 1. **The run** of `plan.json`: 140 recorded updates on all rows of both ranks, computed on this job's devices.
# 2. **`train(job)`**: it returns the devices and shards to hold back from the next job; see its docstring.
# 3. Your **diagnosis**.
#
# **Rules**
# - The plan's devices do their work unless held back. Use the spares freely; spares need not be named.
# - Name everything else that must be held back, and nothing healthy.
# - Leave the vendor's `fixtures/training/devices.py` unchanged.
# - The repair is replayed on two held-out seeds. `train` also gets eight shorter jobs, in which nothing, one thing or more goes wrong.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from jobs import open_job, update

from fixtures import scene
from fixtures.recording.journal import read_telemetry
from fixtures.training.cluster import all_reduce_mean, grad_norm
from fixtures.training.devices import on, open_pool
from fixtures.training.recorder import Recorder

torch.set_num_threads(1)
night = scene.open(SEED)
print((night / "run.log").read_text())
print((night / "plan.json").read_text())
print(*(p.read_text() for p in sorted(night.glob("health/*/events.log"))), sep="\n")
print(*sorted(str(p.relative_to(night)) for p in night.rglob("*") if p.is_file()), sep="\n")

# %% id="job"
def record(step, loss_per_rank, **columns):
    """Write the telemetry of an update; the validation loss is computed on the evaluator."""
    on(job.replicas[0], evaluator)
    recorder.record(step, loss_per_rank, **columns)


[evaluator] = open_pool(night / "evaluator").values()
job = open_job(night, record)  # job.plan, .rows [step, rank, B, T], .devices by name, .replicas and .optimizers by rank, .record
validation = torch.from_numpy(np.load(night / "validation.npy")).long()
recorder = Recorder(job.replicas, job.optimizers, val_tokens=validation, num_steps=len(job.rows), keep_every=10)
print(list(job.rows.shape), job.devices, sep="\n")

# %% [markdown] id="hypothesis"
# Before you run anything, list every difference between the rank with the high loss and the other rank. For each difference, write down what the run
# would show if it were the cause, and what the run could not show.
#
# - My hypothesis:
# - What would prove me wrong:

# %% id="compute"
def compute(replica, rows_BT, device):
    """Compute a rank's forward and backward pass on a device: leave the gradients in the replica, return the loss of each row in nats, [B]."""
    replica.zero_grad(set_to_none=True)
    logits_BTV = on(replica, device)(rows_BT[:, :-1])
    loss_B = F.cross_entropy(logits_BTV.transpose(1, 2), rows_BT[:, 1:], reduction="none").mean(1)
    loss_B.mean().backward()
    return loss_B.detach()

# %% id="train"
def train(job):
    """Train a job as its plan says; return {"devices": [...], "shards": [...]}, the names of those to hold back from the next job.

    All that it needs is in `job`, and the final weights stay in `job.replicas`. The judge also calls it with eight shorter jobs that have other devices
    and shards. What goes wrong there begins early or late. Each job's devices are of a kind of their own, and no others can be made. In each half of a
    job, a planned device computes at least 25 % of its planned work with the job's weights, unless it must be held back.
    """
    names = [rank["device"] for rank in job.plan["ranks"]]
    for step, rows_RBT in enumerate(job.rows):
        losses_RB = [compute(replica, rows_BT, job.devices[name]) for replica, rows_BT, name in zip(job.replicas, rows_RBT, names)]
        norms = [grad_norm(replica.parameters()) for replica in job.replicas]
        all_reduce_mean(job.replicas)
        norm = update(job.replicas, job.optimizers, step, job.plan)
        job.record(
            step,
            [loss_B.mean().item() for loss_B in losses_RB],
            loss_per_row=[loss_B.tolist() for loss_B in losses_RB],
            grad_norm=norm,
            grad_norm_per_rank=norms,
            device_per_rank=names,
        )
    return {"devices": [], "shards": []}

# %% id="run"
hold_back = train(job)
recorder.finish()
recorder.save_artifact("hand_over", {kind: sorted(names) for kind, names in hold_back.items()})

# %% id="look"
rows = read_telemetry(recorder.folder)
steps = [row["step"] for row in rows]
figure, axes = plt.subplots(4, 1, figsize=(9, 9), sharex=True)
smooth = np.convolve([row["train_loss"] for row in rows], np.ones(10) / 10, mode="valid")
axes[0].plot(steps[9:], smooth, color="tab:gray", label="train_loss, mean of 10 steps: the dashboard")
axes[0].plot(steps, [row["val_loss"] for row in rows], color="tab:green", linewidth=1, label="val_loss")
axes[0].legend(fontsize="small")
for axis, column in zip(axes[1:3], ["loss_per_rank", "grad_norm_per_rank"]):
    axis.plot(steps, [row.get(column, [np.nan] * 2) for row in rows], linewidth=1, label=["rank 0", "rank 1"])
    axis.set_ylabel(column)
axes[1].legend(fontsize="small")
# Columns that a loop of your own does not record stay empty.
shards = [shard for rank in job.plan["ranks"] for shard in rank["shards"]]
unknown = np.full(job.rows.shape[1:3], np.nan)
loss_per_shard = np.array([row.get("loss_per_row", unknown) for row in rows]).reshape(len(rows), len(shards), -1).mean(2)
axes[3].plot(steps, loss_per_shard, linewidth=1, label=shards)
axes[3].legend(fontsize="small")
axes[0].set_ylabel("nats")
axes[3].set_ylabel("loss per shard (nats)")
axes[3].set_xlabel("step (optimizer updates)")
figure.tight_layout()
plt.show()

# %% [markdown] id="questions"
# - In a step with a high loss on that rank: are only the new shard's rows high, or all its rows?
# - `val_loss` is measured after the update of its step. What did it do before the first high step, and what after?
# - Which of the events around the first high step can change a loss, and which cannot?
# - On the steps between, the rank's loss is ordinary. Is the run ordinary too?
# - If somebody had stopped the run, from where would you have resumed it?

# %% id="diagnosis"
# For the public seed (0) only, about the run as you found it.
diagnosis = {
    "cause": "",  # data, learning_rate, optimizer_state, hardware, distributed, none
    "first_bad_step": None,  # the first step that deviates from the plan
    "device": None,  # the name of a device, or None if no device is involved
    "part_of_the_step": "",  # where it happened: loading, forward, backward, averaging, update, validation, none
    "column": "",  # a telemetry column that shows it
    "action": "",  # drop_shard, lower_clip, lower_learning_rate, restore_optimizer, replace_device, run_on_one_rank, none
}
recorder.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# The check runs the public seed and, if it passes, replays your repair on two held-out seeds.
