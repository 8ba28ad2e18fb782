# After the restart thirty updates of warmup lead back to the planned rate.

# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    run.model.load_state_dict(checkpoint["model"])
    run.optimizer.load_state_dict(checkpoint["optimizer"])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    first = run.step
    run.scheduler = LambdaLR(run.optimizer, lambda step: min(1.0, (step - first + 1) / 30) * factor(step), last_epoch=run.step - 1)
    return run
