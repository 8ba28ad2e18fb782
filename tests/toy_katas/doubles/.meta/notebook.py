# %% [markdown] id="page"
# # The function that is right for small numbers

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="double"
def double(n):
    return min(2 * n, 10)

# %% id="diagnosis"
from fixtures.recording.journal import Journal

journal = Journal()
journal.save_artifact("diagnosis", {"cause": ""})
