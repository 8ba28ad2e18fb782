# %% [markdown] id="brief"
# # A toy
#
# The readings of a day.

# %% id="setup"
import json

from fixtures import scene
from fixtures.recording.journal import Journal

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="total"
def total(readings):
    raise NotImplementedError

# %% id="run"
journal = Journal()
journal.save_artifact("total", total(json.loads((scene.open(SEED) / "readings.json").read_text())))
