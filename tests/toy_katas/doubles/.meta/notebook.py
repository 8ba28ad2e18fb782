# %% [markdown] id="page"
# # The function that is right for small numbers

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="double"
def double(n):
    return min(2 * n, 10)

# %% id="diagnosis"
from fixtures.journal import Journal

journal = Journal()
journal.exhibit("diagnosis", {"cause": ""})
