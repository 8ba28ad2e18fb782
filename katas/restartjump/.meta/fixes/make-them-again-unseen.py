# Before anybody watches again, the new launch makes the first launch's updates once more, and counts them.

# %% id="resume"
def resume():
    run = start()
    while run.step < launches[1]["from_step"]:
        run.optimizer.zero_grad()
        next_token_loss(run.model, torch.from_numpy(next(run.reader)).long()).backward()
        clip_grad_norm_(run.model.parameters(), plan["grad_clip"])
        run.optimizer.step()
        run.scheduler.step()
        run.step += 1
    return run
