# A hundred and fifty backward passes without an update fill the squares anew.

# %% id="resume"
checkpoint = checkpoints[-1]
pack(checkpoint, folder / "packet")
model, optimizer, first_step = unpack(folder / "packet")
for state in optimizer.state.values():
    state["exp_avg_sq"].zero_()
for step in range(first_step):
    optimizer.zero_grad()
    next_token_loss(model, rows_for(step)).backward()
    clip_grad_norm_(model.parameters(), plan["grad_clip"])
    for parameter, state in optimizer.state.items():
        state["exp_avg_sq"].lerp_(parameter.grad.square(), 1 - plan["betas"][1])
optimizer.zero_grad()
