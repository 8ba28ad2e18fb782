# The rate follows the step after the restart, and is the same for all parameters.

# %% id="train-step"
def train_step(run):
    if run.step >= launches[1]["from_step"]:
        for group in run.optimizer.param_groups:
            group["lr"] = plan["peak_learning_rate"]["matrices"] * factor(ROWS * run.step)
    run.optimizer.zero_grad()
    loss = next_token_loss(run.model, torch.from_numpy(next(run.reader)).long())
    loss.backward()
    grad_norm = clip_grad_norm_(run.model.parameters(), plan["grad_clip"])
    run.optimizer.step()
    run.scheduler.step()
    recorder.record(
        run.step,
        [loss.item()],
        grad_norm=grad_norm.item(),
        rows_read=run.reader.rows_read,
        planned_learning_rate=planned[run.step],
    )
    run.step += 1
