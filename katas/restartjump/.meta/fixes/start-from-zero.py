# The checkpoint is thrown away, and the whole run is made again on the new node.

# %% id="resume"
def resume():
    return start()
