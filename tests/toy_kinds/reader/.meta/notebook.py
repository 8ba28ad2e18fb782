# %% [markdown] id="brief"
# # A toy
#
# The readings of a day.

# %% id="setup"
from fixtures import scene
from fixtures.recording.journal import Journal

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="look"
journal = Journal()
print((scene.open(SEED) / "readings.json").read_text())

# %% id="diagnosis"
journal.save_artifact("diagnosis", {"cause": ""})
