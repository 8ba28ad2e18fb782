# An update that would move the weights by more than three times the usual is shortened.

# %% id="train-step"
usual = float(np.median([json.loads(line)["update_ratio"] for line in (night / "before-the-move.jsonl").open()][-30:]))


def train_step(step):
    optimizer.zero_grad()
    loss = next_token_loss(model, rows_for(step))
    loss.backward()
    grad_norm = clip_grad_norm_(model.parameters(), plan["grad_clip"])
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.step()
    with torch.no_grad():
        moved = sum(float((p - b).norm()) ** 2 for p, b in zip(model.parameters(), before)) ** 0.5
        allowed = 3 * usual * sum(float(b.norm()) ** 2 for b in before) ** 0.5
        if moved > allowed:
            for p, b in zip(model.parameters(), before):
                p.copy_(b + (p - b) * (allowed / moved))
    recorder.record(step, [loss.item()], grad_norm=grad_norm.item())
