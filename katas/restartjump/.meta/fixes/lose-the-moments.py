# The schedule is put back, the optimizer starts afresh.

# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    for part in ("model", "reader", "scheduler"):
        getattr(run, part).load_state_dict(checkpoint[part])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.reader.rows_read = ROWS * run.step
    for group, lr in zip(run.optimizer.param_groups, run.scheduler.get_last_lr()):
        group["lr"] = lr
    return run
