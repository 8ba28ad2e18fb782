# A fix.

# %% id="double"
def double(n):
    return 2 * n
