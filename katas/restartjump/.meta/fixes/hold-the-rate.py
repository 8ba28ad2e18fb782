# After the restart the rate stays where it was.

# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    for part in PARTS:
        getattr(run, part).load_state_dict(checkpoint[part])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.scheduler = LambdaLR(run.optimizer, lambda _: factor(ROWS * checkpoint["step"]))
    return run
