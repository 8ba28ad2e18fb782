# Gradients that are no numbers become zero.

# %% id="train-step"
def train_step(step):
    optimizer.zero_grad()
    loss = next_token_loss(model, rows_for(step))
    loss.backward()
    grad_norm = clip_grad_norm_(model.parameters(), plan["grad_clip"])
    for p in model.parameters():
        p.grad.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    optimizer.step()
    recorder.record(step, [loss.item()], grad_norm=grad_norm.item())
