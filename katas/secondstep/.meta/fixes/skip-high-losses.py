# Steps whose loss is high make no update.

# %% id="train-step"
usual = float(np.median([json.loads(line)["train_loss"] for line in (night / "before-the-move.jsonl").open()][-30:]))


def train_step(step):
    optimizer.zero_grad()
    loss = next_token_loss(model, rows_for(step))
    loss.backward()
    grad_norm = clip_grad_norm_(model.parameters(), plan["grad_clip"])
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    if loss.item() < 2 * usual:
        optimizer.step()
    recorder.record(step, [loss.item()], grad_norm=grad_norm.item())
