# %% [markdown] id="page"
# # A notebook that dies

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="body"
import os

os._exit(3)
