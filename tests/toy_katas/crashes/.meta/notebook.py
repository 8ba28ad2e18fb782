# %% [markdown] id="page"
# # A notebook that crashes

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="body"
readings = [1, 2]
readings[7]
