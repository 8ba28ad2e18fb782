# A fix.

# %% id="double"
def double(n):
    return n + n
