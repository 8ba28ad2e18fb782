# A fix.

# %% id="double"
def double(n):
    return min(2 * n, 100)
