# A third of the learning rate.

# %% id="train-step"
def train_step(step, tokens_BT):
    model.zero_grad(set_to_none=True)
    with sdpa_kernel(SDPBackend.MATH):
        x_BTC = model.embed(tokens_BT[:, :-1])
        loss = F.cross_entropy(model(tokens_BT[:, :-1], x_BTC).flatten(0, 1), tokens_BT[:, 1:].flatten())
        penalty = plan["penalty"] * squared_input_gradient(loss, x_BTC) if step >= STAGE_ONE else 0.0
        (loss + penalty).backward()
    clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = plan["learning_rate"][step] / 3
    optimizer.step()
    recorder.record(step, [loss.item()])
