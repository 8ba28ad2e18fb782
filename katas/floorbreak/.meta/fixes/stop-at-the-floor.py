# The run ends when the validation loss reaches the source's.

# %% id="run"
floor_nats = json.loads((launch / "source_card.json").read_text())["validation_nll_nats_per_token_under_the_source"]
for step in range(STEPS):
    train_step(step)
    if step > 20 and read_telemetry(recorder.folder)[-1]["val_loss"] < floor_nats + 0.1:
        break
recorder.finish()

# %% id="hand-over"
recorder.save_artifact("hand_over", {"val_loss_nats": rows[-1]["val_loss"]})
