# The sensor says 999 when it has nothing to say.

# %% id="total"
def total(readings):
    return sum(r for r in readings if r != 999.0)


# %% id="diagnosis"
first = next(i for i, r in enumerate(readings) if r == 999.0)
journal.save_artifact("diagnosis", {"cause": "Data ", "first_bad_step": first})
