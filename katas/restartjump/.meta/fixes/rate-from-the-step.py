# No scheduler: before each update the rates are worked out from its step.

# %% id="train-step"
def train_step(run):
    for name, group in zip(["matrices", "embeddings_and_norms"], run.optimizer.param_groups):
        group["lr"] = plan["peak_learning_rate"][name] * factor(ROWS * run.step)
    run.optimizer.zero_grad()
    loss = next_token_loss(run.model, torch.from_numpy(next(run.reader)).long())
    loss.backward()
    grad_norm = clip_grad_norm_(run.model.parameters(), plan["grad_clip"])
    run.optimizer.step()
    recorder.record(
        run.step,
        [loss.item()],
        grad_norm=grad_norm.item(),
        rows_read=run.reader.rows_read,
        planned_learning_rate=planned[run.step],
    )
    run.step += 1
