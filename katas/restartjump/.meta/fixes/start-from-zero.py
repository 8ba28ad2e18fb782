# %% id="resume"
def resume():
    return start()
