# A scheduler that counts for itself is built over the loaded optimizer, which sets its rates back for one update, and then gets its state.

# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    for part in PARTS:
        getattr(run, part).load_state_dict(checkpoint[part])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.scheduler = LambdaLR(run.optimizer, lambda updates: factor(ROWS * updates))
    run.scheduler.load_state_dict(checkpoint["scheduler"])
    return run
