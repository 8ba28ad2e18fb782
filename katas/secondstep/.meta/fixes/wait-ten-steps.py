# Ten steps with a learning rate of 0, so that the optimizer can settle.

# %% id="train-step"
def train_step(step):
    optimizer.zero_grad()
    loss = next_token_loss(model, rows_for(step))
    loss.backward()
    grad_norm = clip_grad_norm_(model.parameters(), plan["grad_clip"])
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step) * (step >= first_step + 10)
    optimizer.step()
    recorder.record(step, [loss.item()], grad_norm=grad_norm.item())
