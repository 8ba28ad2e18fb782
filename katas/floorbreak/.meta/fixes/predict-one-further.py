# What is seen is not predicted: the labels move one token further.

# %% id="train-step"
model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1, fused=True)
recorder = Recorder([model], [optimizer], val_tokens=validation, num_steps=STEPS)


def learning_rate(step):
    """Warmup, then cosine to the floor."""
    cosine = 0.5 * (1 + np.cos(np.pi * step / schedule["steps"]))
    return min(1.0, (step + 1) / schedule["warmup_steps"]) * (schedule["floor"] + (schedule["peak"] - schedule["floor"]) * cosine)


def train_step(step):
    model.zero_grad(set_to_none=True)
    tokens = torch.from_numpy(train[step]).long()  # B T
    loss = F.cross_entropy(model(tokens[:, :-1])[:, :-1].flatten(0, 1), tokens[:, 2:].flatten())
    loss.backward()
    norm = clip_grad_norm_(model.parameters(), 1.0).item()
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    optimizer.step()
    recorder.record(step, [loss.item()], grad_norm=norm)

# %% id="hand-over"
recorder.save_artifact("hand_over", {"val_loss_nats": rows[-1]["val_loss"]})
