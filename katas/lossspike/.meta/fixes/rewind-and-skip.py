# When the loss of a rank exceeds four times its recent median: go back to the last snapshot and continue without that step.

# %% id="run"
import copy

bad, skip, snapshots, step = set(), set(), {}, 0
while step < STEPS:
    if step % 10 == 0:
        snapshots[step] = copy.deepcopy([o.state_dict() for o in optimizers]), copy.deepcopy([r.state_dict() for r in replicas])
    if step not in skip:
        documents = documents_for(step)
        train_step(step, documents)
        losses = np.array([row["loss_per_rank"] for row in read_telemetry(recorder.folder)])
        usual = np.median(losses[-40:-1], axis=0) if step > 50 else np.inf
        if (high := losses[-1] > 4 * usual).any():
            skip.add(step)
            bad |= {pair for rank in np.flatnonzero(high) for pair in documents[rank]}
            step = step // 10 * 10
            for model, optimizer, weights, state in zip(replicas, optimizers, *reversed(snapshots[step])):
                model.load_state_dict(weights)
                optimizer.load_state_dict(state)
            continue
    step += 1
recorder.finish()

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(bad), "ranks": [], "schedule_changes": []})
