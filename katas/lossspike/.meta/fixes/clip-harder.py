# A tenth of the clip.

# %% id="data-loader"
def stored_text_is_listed(shard, document):
    return text_sha256(text(shard, document)) == listed[shard, document]


listed = {(m["shard"], m["document"]): m["sha256"] for m in manifest}
bad = {pair for pair in listed if not stored_text_is_listed(*pair)}


def read(shard, document):
    return shards[shard][document]


def load(documents):
    return torch.from_numpy(np.stack([read(s, d) for s, d in documents])).long()


def documents_for(step):
    return [[(int(s), int(d)) for s, d in order[step, rank]] for rank in range(WORLD_SIZE)]


# %% id="hand-over"
recorder.exhibit("hand_over", {"documents": sorted(bad), "ranks": [], "schedule_changes": []})

# %% id="train-step"
GRAD_CLIP = 0.1


def train_step(step, documents_per_rank):
    losses = []
    for replica, documents in zip(replicas, documents_per_rank):
        replica.zero_grad(set_to_none=True)
        loss = next_token_loss(replica, load(documents))
        loss.backward()
        losses.append(loss.item())
    all_reduce_mean(replicas)
    for replica, optimizer in zip(replicas, optimizers):
        clip_grad_norm_(replica.parameters(), GRAD_CLIP)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
    recorder.record(step, losses)
