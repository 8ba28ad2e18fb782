# The schedule goes by the scheduler's own count, which was saved and loaded.

# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    for part in PARTS:
        getattr(run, part).load_state_dict(checkpoint[part])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.scheduler.lr_lambdas = [lambda updates: factor(ROWS * updates)] * 2
    return run
