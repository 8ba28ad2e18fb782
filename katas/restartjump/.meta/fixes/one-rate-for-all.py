# The rate follows the step after the restart, and is the same for all parameters.

# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    run.model.load_state_dict(checkpoint["model"])
    run.optimizer.load_state_dict(checkpoint["optimizer"])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.scheduler = None
    return run


# %% id="train-step"
def train_step(run):
    if run.scheduler is None:
        for group in run.optimizer.param_groups:
            group["lr"] = plan["peak_learning_rate"]["matrices"] * factor(run.step)
    run.optimizer.zero_grad()
    loss = next_token_loss(run.model, torch.from_numpy(documents[run.step]).long())
    loss.backward()
    grad_norm = clip_grad_norm_(run.model.parameters(), plan["grad_clip"])
    run.optimizer.step()
    if run.scheduler:
        run.scheduler.step()
    recorder.record(
        run.step,
        [loss.item()],
        grad_norm=grad_norm.item(),
        planned_learning_rate=plan["peak_learning_rate"]["matrices"] * factor(run.step),
    )
    run.step += 1
