# After the restart thirty updates of warmup lead back to the planned rate.

# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    for part in PARTS:
        getattr(run, part).load_state_dict(checkpoint[part])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    first = run.step

    def rewarmed(updates):
        return min(1.0, (updates - first + 1) / 30) * factor(ROWS * updates)

    run.scheduler = LambdaLR(run.optimizer, rewarmed, last_epoch=run.step - 1)
    return run
