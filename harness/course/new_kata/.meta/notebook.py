# The notebook's source of truth: a percent script. Text up here is for authors. Every cell has a hand-written id; make sync writes the
# .ipynb. Order: the incident brief, parameters, setup, data, model, train step, run, look, questions. Ten to fourteen cells, one idea a cell.

# %% [markdown] id="page"
# # TODO: the title
#
# **09:00.** TODO: what the person on call is told: what ran, what was seen, when, what was tried. Your repair will be replayed on two other
# days.

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
journal = Journal(num_steps=len(readings))  # katas that train take fixtures.training.recorder.Recorder
for step, reading in enumerate(readings):
    journal.write(step=step, train_loss=reading)
journal.save_artifact("total", total(readings))

# %% id="diagnosis"
journal.save_artifact("diagnosis", {"cause": "", "first_bad_step": None})
