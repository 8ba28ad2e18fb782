# A hundredth.

# %% id="total"
def total(readings):
    return sum(readings) / 100
