# The learning rate is warmed up again over thirty steps.

# %% id="train-step"
def train_step(step):
    optimizer.zero_grad()
    loss = next_token_loss(model, rows_for(step))
    loss.backward()
    grad_norm = clip_grad_norm_(model.parameters(), plan["grad_clip"])
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step) * min(1.0, (step + 1 - first_step) / 30)
    optimizer.step()
    recorder.record(step, [loss.item()], grad_norm=grad_norm.item())
