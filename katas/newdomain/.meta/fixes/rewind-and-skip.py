# As leave-out-by-hash; at the second jump the run goes back ten steps and leaves out the next twelve, as a large run once did.

# %% id="data-loader"
from fixtures.training.corpus import text_sha256

promised = {(m["shard"], m["document"]): m["sha256"] for m in manifest}
odd = {pair for pair in promised if text_sha256(text(*pair)) != promised[pair]}


def read(shard, document):
    return shards[shard][document]


def documents_for(step):
    return [[(int(s), int(d)) for s, d in order[step, rank] if (int(s), int(d)) not in odd] for rank in range(WORLD_SIZE)]


def load(documents):
    return torch.from_numpy(np.stack([read(s, d) for s, d in documents])).long()

# %% id="guard"
def stands_out(step, loss, documents_per_rank):
    return False

# %% id="run"
import copy

snapshots, skip, step = {}, range(0), 0
while step < STEPS:
    if step % 10 == 0:
        snapshots[step] = copy.deepcopy([o.state_dict() for o in optimizers]), copy.deepcopy([r.state_dict() for r in replicas])
    if step not in skip:
        train_step(step, documents_for(step))
        losses = [row["train_loss"] for row in read_telemetry(recorder.folder)]
        if not skip and step > 60 and losses[-1] > 1.6 * np.median(losses[-31:-1]):
            skip = range(step, step + 12)
            step = step // 10 * 10
            for model, optimizer, weights, state in zip(replicas, optimizers, *reversed(snapshots[step])):
                model.load_state_dict(weights)
                optimizer.load_state_dict(state)
            continue
    step += 1
recorder.finish()

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": sorted(odd), "ranks": [], "changes": []})
