# The schedule is put back, the rows begin again with the first shard.

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
    run.scheduler.load_state_dict(checkpoint["scheduler"])
    run.first_row = run.step
    return run


# %% id="train-step"
def train_step(run):
    run.optimizer.zero_grad()
    loss = next_token_loss(run.model, torch.from_numpy(documents[run.step - getattr(run, "first_row", 0)]).long())
    loss.backward()
    grad_norm = clip_grad_norm_(run.model.parameters(), plan["grad_clip"])
    run.optimizer.step()
    run.scheduler.step()
    recorder.record(
        run.step,
        [loss.item()],
        grad_norm=grad_norm.item(),
        planned_learning_rate=plan["peak_learning_rate"]["matrices"] * factor(run.step),
    )
    run.step += 1
