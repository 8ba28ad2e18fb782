# After the restart the shards of before are read again; the new one is blamed for the jump.

# %% id="train-step"
def train_step(run):
    run.optimizer.zero_grad()
    loss = next_token_loss(run.model, torch.from_numpy(documents[run.step if run.step < launches[1]["from_step"] else run.step - 150]).long())
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
