# Train as before and smooth the log afterwards.

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

# %% id="run"
for step in range(STEPS):
    train_step(step, documents_for(step))
recorder.finish()
rows = read_telemetry(recorder.folder)
for column in ("train_loss", "val_loss", "grad_norm"):
    for i, row in enumerate(rows):
        row[column] = float(np.median([r[column] for r in rows[max(0, i - 10) : i + 11]]))
(recorder.folder / "telemetry.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
