# No reading is far from the median.

# %% id="total"
def total(readings):
    middle = sorted(readings)[len(readings) // 2]
    return sum(r for r in readings if r < 10 * middle)
