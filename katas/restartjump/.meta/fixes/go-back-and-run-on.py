# Back to the last checkpoint of before the night's restart, and on from there with rates that follow the step.

# %% id="resume"
def resume():
    checkpoint = torch.load(sorted((folder / "checkpoints").glob("*.pt"))[-2], weights_only=True)
    run = build()
    run.model.load_state_dict(checkpoint["model"])
    run.optimizer.load_state_dict(checkpoint["optimizer"])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.scheduler.last_epoch = run.step
    return run
