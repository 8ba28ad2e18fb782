# What the schedule goes by is part of the checkpoint.

# %% id="save"
def save(run):
    checkpoint = {"step": run.step, "rows_read": run.reader.rows_read, "random_state": torch.get_rng_state()}
    for part in PARTS:
        checkpoint[part] = getattr(run, part).state_dict()
    torch.save(checkpoint, folder / "checkpoints" / f"step-{run.step:03d}.pt")


# %% id="resume"
def resume():
    checkpoint = torch.load(max((folder / "checkpoints").glob("*.pt")), weights_only=True)
    run = build()
    for part in PARTS:
        getattr(run, part).load_state_dict(checkpoint[part])
    torch.set_rng_state(checkpoint["random_state"])
    run.step = checkpoint["step"]
    run.reader.rows_read = checkpoint["rows_read"]
    return run


# %% id="diagnosis"
recorder.save_artifact(
    "diagnosis",
    {
        "cause": "learning_rate",
        "first_bad_step": launches[1]["from_step"] + 1,
        "shard": None,
        "column": "learning_rate",
        "lost_at_the_restart": "place_in_the_schedule",
    },
)
