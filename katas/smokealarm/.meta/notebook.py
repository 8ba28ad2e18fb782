# %% [markdown] id="page"
# # An alarm that rings after the fire, and on quiet nights
#
# **22:30, before the night shift.** The spike desk watches small runs: two ranks, AdamW, a dashboard that shows the loss as means of five
# steps. Its alarm rings when that loss is high. Last month it called somebody forty times. Twelve calls were about nothing, nine about changes that
# somebody had meant, and when it was right, the harm was done: ten updates on bad rows, at a wrong rate, from wrong state, or through a
# machine that computed wrongly. Some of those curves came back by themselves; the weights did not.
#
# What you are told on the hand-over call:
# - somebody lowered the bar, and it rang twice as often; somebody put it on the gradient norm, and that blips on any night;
# - nodes restart, ranks are slow, configurations are reloaded, validation sets change, lists are out of date for a step or two. All of that
#   is true and most of it does no harm;
# - a source that was added, a larger share of a rare one, a loss that is counted otherwise: the curve jumps, and nobody wants to be called;
# - how high a jump gets and how long it lasts says nothing about what it is.
#
# You hand over **`make_alarm()`**. It returns a new alarm for a run; the alarm is called after every step with the telemetry so far and says
# whether to ring. It has four steps from the first bad one. It is judged on runs that nobody here has seen, bad and sound, on this night and,
# if that holds, replayed on two others.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import json

import matplotlib.pyplot as plt
import numpy as np

from fixtures import scene
from fixtures.incidents.casebook import read_cases
from fixtures.incidents.replay import records_of, replayed
from fixtures.recording.journal import Journal

night = scene.open(SEED)
journal = Journal()
print((night / "COLUMNS.md").read_text())

# %% id="runs"
runs = read_cases(night / "runs")
answers = json.loads((night / "answers.json").read_text())
for number, (run, answer) in enumerate(zip(runs, answers)):
    since = answer["first_bad_step"] or answer["changed_at"]
    print(f"{number:2}  steps {run['step'][0]} to {run['step'][-1]}  {answer['kind']:7}", f"from step {since}" if since else "")
print(*runs[0]["log"], sep="\n")

# %% [markdown] id="hypothesis"
# Before you look at a curve, write down here: four things go wrong in these runs (rows, rates, state, machines). Which of them can be
# known before a single update is made from it?
#
# - My hypothesis:
# - The column that would prove me wrong:

# %% id="look"
def show(number, columns=("public_loss", "loss_per_rank", "val_loss", "update_ratio", "grad_norm_per_rank")):
    """Plot columns of a stored run over the steps; the line is where something happened."""
    t, answer = runs[number], answers[number]
    figure, axes = plt.subplots(len(columns), 1, figsize=(9, 1.5 * len(columns)), sharex=True)
    for axis, column in zip(axes, columns):
        axis.plot(t["public_step" if column == "public_loss" else "step"], t[column], linewidth=1)
        if since := answer["first_bad_step"] or answer["changed_at"]:
            axis.axvline(since, color="0.7", linewidth=1)
        axis.set_ylabel(column, rotation=0, ha="right")
    axes[0].set_title(f"run {number}: {answer['kind']}")
    axes[-1].set_xlabel("step (optimizer updates)")
    figure.tight_layout()
    plt.show()


show(0)

# %% [markdown] id="questions"
# Take a bad run of each kind and go through its first bad step.
#
# - Which columns moved in that step, and in which other runs do they move as far?
# - Which of them say something about *this* step, and which only compare it with those before?
# - Of the changes that were meant: what do they move that bad ones move too, and what not?

# %% id="alarm"
def make_alarm():
    """Return an alarm for one run; what it keeps from step to step is its own."""

    def alarm(t):
        """Say whether to ring; `t` holds the columns of the steps so far."""
        loss = t["public_loss"]
        return len(loss) > 4 and loss[-1] > np.median(loss[-9:-1]) + 0.2

    return alarm

# %% id="try"
def calls_in(run):
    """Let a stored run go by and return the steps in which the alarm calls: when it begins, and again after every ten steps."""
    alarm, steps, before = make_alarm(), [], False
    for telemetry in replayed(records_of(run, len(run["step"]))):
        now, step = bool(alarm(telemetry)), int(telemetry["step"][-1])
        if now and (not before or step - steps[-1] >= 10):
            steps.append(step)
        before = now
    return steps


for number, (run, answer) in enumerate(zip(runs, answers)):
    first, called = answer["first_bad_step"], calls_in(run)
    late = [step - first for step in called if first is not None and first <= step]
    false = [step for step in called if first is None or step < first]
    print(f"{number:2}  {answer['kind']:7}", "" if first is None else f"called {late[0]} after" if late else "missed", f"false: {false}" if false else "")

# %% id="diagnosis"
# For the desk's handbook, names of columns: which is the first to show it, in the very step?
diagnosis = {
    "rate": "",  # a wrong learning rate
    "state": "",  # wrong optimizer state
    "machine": "",  # a machine that computes wrongly
    "rows": "",  # rows that are not what was written
}
journal.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# Save the notebook, then `make check KATA=smokealarm` in a terminal. Stuck? `make hint KATA=smokealarm`.
#
# After the last cell forty-eight runs go by that it has not seen, one after another, one step at a time: the next step comes when the last is
# answered. Each call gets copies of what there is by then, and a tenth of a second; all calls of a run together have two. A call that raises an
# exception does not ring.
# The check runs this night and, if it passes, two nights that nobody has seen. Their runs are made when you check: a minute each.
