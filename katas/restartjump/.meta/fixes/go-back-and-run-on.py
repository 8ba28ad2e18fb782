# Back to the last checkpoint of before the night's restart, and on from there with rates that follow the step.

# %% id="resume"
def resume():
    checkpoint = torch.load(sorted((folder / "checkpoints").glob("*.pt"))[-2], weights_only=True)
    run = build()
    for part in PARTS:
        getattr(run, part).load_state_dict(checkpoint[part])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.reader.rows_read = ROWS * run.step
    return run
