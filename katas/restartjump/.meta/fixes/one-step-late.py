# The scheduler is built again one step behind, as one that was saved before it took its step.

# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    for part in PARTS:
        getattr(run, part).load_state_dict(checkpoint[part])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.scheduler = LambdaLR(run.optimizer, lambda updates: factor(ROWS * updates), last_epoch=run.step - 2)
    return run
