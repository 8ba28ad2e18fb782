# %% [markdown] id="page"
# # The total that is too high
#
# **09:00.** The day's total is a hundred times yesterday's. Your repair will be replayed on two other days.

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="total"
def total(readings):
    return sum(readings)

# %% id="run"
import json

from fixtures import scene
from fixtures.recording.journal import Journal

readings = json.loads((scene.open(SEED) / "readings.json").read_text())
journal = Journal(num_steps=len(readings))
for step, reading in enumerate(readings):
    journal.write(step=step, train_loss=reading)
journal.save_artifact("total", total(readings))

# %% id="diagnosis"
journal.save_artifact("diagnosis", {"cause": "", "first_bad_step": None})
