# The new scheduler is wound forward by as many steps as the run has made.

# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    run.model.load_state_dict(checkpoint["model"])
    run.optimizer.load_state_dict(checkpoint["optimizer"])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    while run.scheduler.last_epoch < run.step:
        run.scheduler.step()
    return run
