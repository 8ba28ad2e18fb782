# Before anybody watches again, the new launch makes the first launch's updates once more, in a function that no optimizer calls.

# %% id="resume"
from torch.optim.adamw import adamw


def resume():
    run = start()
    groups = run.optimizer.param_groups
    for p in run.model.parameters():
        run.optimizer.state[p] = {"step": torch.zeros(()), "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
    while run.step < launches[1]["from_step"]:
        run.optimizer.zero_grad()
        next_token_loss(run.model, torch.from_numpy(next(run.reader)).long()).backward()
        clip_grad_norm_(run.model.parameters(), plan["grad_clip"])
        for group in groups:
            params = group["params"]
            states = [run.optimizer.state[p] for p in params]
            with torch.no_grad():
                adamw(
                    params,
                    [p.grad for p in params],
                    *([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq")),
                    [],
                    [state["step"] for state in states],
                    fused=True,
                    foreach=False,
                    amsgrad=False,
                    beta1=plan["betas"][0],
                    beta2=plan["betas"][1],
                    lr=group["initial_lr"] * factor(ROWS * run.step),
                    weight_decay=group["weight_decay"],
                    eps=group["eps"],
                    maximize=False,
                )
        run.step += 1
    for group in groups:
        group["lr"] = group["initial_lr"] * factor(ROWS * run.step)
    return run
