# The run is given up when the loss is no number, and started once more from its checkpoint with the rows in another order.

# %% id="run"
place()
step = load(night / "checkpoints" / f"step-{plan['from_update']}.pt")
(folder / "checkpoints").mkdir()
recorder = PoolRecorder(
    replicas, optimizers, pool, val_tokens=validation, num_steps=plan["updates"] - plan["from_update"], keep_every=10, folder=folder
)
isolated = []
rows[step:] = rows[step:][torch.randperm(len(rows) - step, generator=torch.Generator().manual_seed(73))]
while step < plan["updates"]:
    if step % plan["checkpoint_every"] == 0:
        save(step)
    train_step(step)
    step += 1
recorder.finish()
