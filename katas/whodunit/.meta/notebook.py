# %% [markdown] id="page"
# # Fifteen jumps with a name, and sixty without
#
# **What happened**
#
# It is 08:00. The team that reviews loss spikes reads every jump of `train_loss` in the small runs (two ranks, one `torch.optim.AdamW` state).
# Last quarter it closed fifteen jumps and wrote down their causes. Last night sixty more came in.
#
# **What is known**
#
# - Causes are bad **data**, a wrong learning rate (**lr**), wrong optimizer state (**opt**), a faulty machine (**hw**), or nothing that needs repair (**benign**).
# - A classifier of the dashboard's curves named the fifteen right, and half of sixty others.
# - The causes jump equally high and last equally long. New variants of each keep appearing.
# - In every run something else happens: restarts, slow ranks, reloaded configurations, lists out of date. Most of it does no harm. The log lacks some changes.
#
# **What you hand over**
#
# 1. `diagnose(t)`; its docstring is the interface.
# 2. `diagnosis`: four columns, for the handbook.
#
# **Rules**
#
# - `diagnose` gets sixty unseen incidents of other runs, twelve per cause, half of new variants. `checks.py` has the thresholds.
# - Each call may take half a second. Exceptions are misses; abstentions are half a hit.
# - Ten incidents are replayed with your action, from before your step.
# - `diagnose` is judged again on two held-out seeds.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="setup"
import json
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np

from fixtures import scene
from fixtures.incidents.casebook import read_cases
from fixtures.recording.journal import Journal

night = scene.open(SEED)
journal = Journal()
print((night / "COLUMNS.md").read_text())

# %% id="cases"
incidents = read_cases(night / "incidents")
answers = json.loads((night / "answers.json").read_text())
for number, answer in enumerate(answers):
    print(f"{number:2}  {answer['cause']:7} from step {answer['first_bad_step']}, place {answer['place']}, {answer['action']}")
print(*incidents[0]["log"], sep="\n")

# %% [markdown] id="hypothesis"
# Before you look at a curve, write down here: in one case the forward loss is high although the weights are what they should be. In another the
# weights are no longer what they should be. Which two numbers of the same step tell one from the other?
#
# - My hypothesis:
# - The column that would prove me wrong:

# %% id="look"
def show(number, columns=("public_loss", "loss_per_rank", "loss_swap", "val_loss", "update_ratio", "grad_norm_per_rank")):
    """Plot columns of one of the fifteen over the steps; the vertical line is the first bad step."""
    t, answer = incidents[number], answers[number]
    figure, axes = plt.subplots(len(columns), 1, figsize=(9, 1.5 * len(columns)), sharex=True)
    for axis, column in zip(axes, columns):
        axis.plot(t["public_step" if column == "public_loss" else "step"], t[column], linewidth=1)
        axis.axvline(answer["first_bad_step"], color="0.7", linewidth=1)
        axis.set_ylabel(column, rotation=0, ha="right")
    axes[0].set_title(f"incident {number}: {answer['cause']}, place {answer['place']}")
    axes[-1].set_xlabel("step (optimizer updates)")
    figure.tight_layout()
    plt.show()


show(0)

# %% id="overview"
figure, axes = plt.subplots(5, 3, figsize=(9, 8), sharex=True)
for number in range(len(incidents)):
    t, axis = incidents[number], axes.flat[number]
    axis.plot(t["public_step"], t["public_loss"], linewidth=1)
    axis.set_title(f"{number}: {answers[number]['cause']}", fontsize=8)
figure.supxlabel("step (optimizer updates)")
figure.supylabel("public_loss (nats, means of five steps)")
figure.tight_layout()
plt.show()

# %% [markdown] id="questions"
# Take one incident of each cause and go through its first bad step.
#
# - Which columns moved in that step, which in the next, and which never?
# - What would the same column show for another cause? If the column were missing, what else would tell?
# - Which lines of the log are near the step? In another incident, near which of them did nothing happen?

# %% id="features"
def alarm(t):
    """Return the position of the first of the five steps whose mean public loss is high."""
    loss = t["public_loss"]
    high = np.flatnonzero(loss > np.median(loss[:4]) + 0.1)
    return 5 * int(high[0]) if len(high) else len(t["step"]) // 2


def entries(t):
    """Return the lines of the event log as (position, text)."""
    split = [line.split(maxsplit=2)[1:] for line in t["log"]]
    return [(int(step) - int(t["step"][0]), text) for step, text in split]

# %% id="diagnose"
SUSPECTS = {"config": "lr", "schedule": "lr", "optimizer": "opt", "node": "hw", "rank": "hw", "data": "data"}
ACTIONS = {"data": "quarantine", "lr": "restore_schedule", "opt": "restore_optimizer", "hw": "cordon_rank", "benign": "continue"}


def diagnose(t):
    """Return the diagnosis of one incident; `t` holds its columns, see COLUMNS.md.

    cause: data, lr, opt, hw or benign.
    first_bad_step: the first step in which something was wrong (benign: in which the change took effect); one step off is accepted.
    place: the number of a shard (data) or of a rank (hw), the name of a source (benign), None where there is no place.
    action: quarantine, restore_schedule, restore_optimizer, cordon_rank or continue; it is taken from before the step that you name.
    confidence: that the cause is right, 0 to 1.
    abstain: True leaves the incident to a person.
    """
    at = alarm(t)
    near = min(entries(t), key=lambda entry: abs(entry[0] - at), default=(at, "data"))
    cause = next((cause for word, cause in SUSPECTS.items() if near[1].startswith(word)), "benign")
    place = {"data": int(t["shard"][at, 0]), "hw": int(t["loss_per_rank"][at].argmax())}.get(cause)
    return {"cause": cause, "first_bad_step": int(t["step"][at]), "place": place, "action": ACTIONS[cause], "confidence": 0.8, "abstain": False}

# %% id="try"
given = [diagnose(t) for t in incidents]
for number, (mine, answer) in enumerate(zip(given, answers)):
    off = {field: (mine[field], answer[field]) for field in answer if mine[field] != answer[field]}
    print(f"{number:2}  {answer['cause']:7}", *(f"{field}: {mine}, not {true};" for field, (mine, true) in off.items()))
print(Counter(mine["cause"] == answer["cause"] for mine, answer in zip(given, answers)))

# %% id="diagnosis"
# For the handbook: names of columns.
diagnosis = {
    "rows_or_machine": "",  # distinguishes a machine that computes wrongly from wrong rows
    "rate_or_optimizer": "",  # distinguishes a wrong rate from wrong state
    "bad_or_new": "",  # distinguishes rows that are not what was written from rows that are only new
    "not_to_be_trusted": "",  # does not show what was really done
}
journal.save_artifact("diagnosis", diagnosis)

# %% [markdown] id="check"
# After the last cell `diagnose` is called with sixty unseen incidents, one at a time, each with a copy of its columns. For ten of them
# a run goes back to before the step that you name and takes your action.
# The check runs this seed. If it passes, your repair is replayed on two held-out seeds. Their runs are made when you check: a minute each.
