# %% [markdown] id="page"
# # The rank whose loss is high for minutes, twice a night
#
# **05:10.** `babygpt-63` runs on two ranks. For some minutes in the night, and again later, the loss of one rank was high on most steps, and ordinary on those between. Then
# it was over. The clip kept the updates small; in the mean over both ranks, which the dashboard smooths, hardly anything shows. The run has finished. Nobody stopped it.
#
# What you are told on the hand-over call:
# - that rank reads a shard which is new in the mixture and plainly harder than the others; the data team has verified the hashes of its text and will not take it out;
# - the validation loss is computed on a device of its own, which is checked every day;
# - one device ran hot, another had memory errors, all of them corrected; a fan was replaced while the run went on; both ranks ended with equal weights;
# - the evening shift wants to lower the clip, the morning shift to run on rank 0 alone.
#
# You hand over **a run that you would ship**: what `plan.json` says, 140 updates on the rows of both ranks, computed on the devices of this job;
# **what has to be held back** from the next job, devices or shards by name, if anything; and your **diagnosis**.
#
# The plan names a device for each rank and two spares. What the plan names is paid for and does its work, unless it has to be held back. The spares are lent: ask them for
# what you like, from the first step on; nobody expects you to name one, as long as you name none that is in order. `fixtures/devices.py` is the vendor's and stays as it is.
#
# Your repair will be replayed on two other nights. Your `train` will also be called with eight jobs that are smaller and have other devices and shards; there other
# things happen, sooner or later, one, several or none. Everything that it needs is in `job`. Each job's devices are of a kind of their own; no others are made.

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
# Before you run anything: write down all in which the rank with the high loss differs from the other one, and for each of these what you would see in the run if it were to blame,
# and what you could not see then.
#
# - My hypothesis:
# - What would prove me wrong:

# %% id="compute"
def compute(replica, rows_BT, device):
    """Forward and backward of a rank's rows on a device: leave the gradients in the replica, return the loss of each row in nats, [B]."""
    replica.zero_grad(set_to_none=True)
    logits_BTV = on(replica, device)(rows_BT[:, :-1])
    loss_B = F.cross_entropy(logits_BTV.transpose(1, 2), rows_BT[:, 1:], reduction="none").mean(1)
    loss_B.mean().backward()
    return loss_B.detach()

# %% id="train"
def train(job):
    """Train a job as its plan says; return the names of the devices and shards that have to be held back from the next one."""
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
# - On a step on which the rank's loss is high, is it the new shard's rows that are high, or all of them?
# - `val_loss` is measured after the update of its step. What did it do before the first high step, and what after?
# - Which of the things that happened to the hosts around the first high step can reach a loss, and which cannot?
# - The rank's loss is ordinary on the steps between. Is the run?
# - From where would you have gone on, if somebody had stopped the run in the morning?

# %% id="diagnosis"
# For this night (seed 0) alone, about the run as you found it.
diagnosis = {
    "cause": "",  # data, learning_rate, optimizer_state, hardware, distributed, none
    "first_bad_step": None,  # the first step that did not go as the plan has it
    "device": None,  # the name of a device, None if no device is involved
    "part_of_the_step": "",  # loading, forward, backward, averaging, update, validation, none: where it happened
    "column": "",  # a telemetry column that shows it
    "action": "",  # drop_shard, lower_clip, lower_learning_rate, restore_optimizer, replace_device, run_on_one_rank, none
}
recorder.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# Save the notebook, then `make check KATA=nightspikes` in a terminal. Stuck? `make hint KATA=nightspikes`.
#
# The check runs this night and, if it passes, two nights that nobody has seen.
