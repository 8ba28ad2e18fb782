# The schedule is put back, the rows begin again with the first shard.

# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    for part in ("model", "optimizer", "scheduler"):
        getattr(run, part).load_state_dict(checkpoint[part])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.reader.rows_read = ROWS * run.step
    return run
