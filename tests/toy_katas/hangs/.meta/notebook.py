# %% [markdown] id="page"
# # A notebook that hangs

# %% id="parameters" tags=["parameters"]
SEED = 0

# %% id="body"
while True:
    try:
        while True:
            pass
    except KeyboardInterrupt:
        pass
