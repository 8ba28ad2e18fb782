# The scheduler's state is loaded; but the scheduler is built over the loaded optimizer, which sets its rates back for one update.

# %% id="save"
def save(run):
    checkpoint = {
        "step": run.step,
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scheduler": run.scheduler.state_dict(),
        "random_state": torch.get_rng_state(),
    }
    torch.save(checkpoint, folder / "checkpoints" / f"step-{run.step:03d}.pt")



# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    run.model.load_state_dict(checkpoint["model"])
    run.optimizer.load_state_dict(checkpoint["optimizer"])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.scheduler = LambdaLR(run.optimizer, factor)
    run.scheduler.load_state_dict(checkpoint["scheduler"])
    return run
