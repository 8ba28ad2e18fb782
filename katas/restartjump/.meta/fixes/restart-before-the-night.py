# Another plan of launches: the node goes before the first update, and the second launch makes the whole night.

# %% id="save"
import shutil

night = shutil.copytree(night, folder / "night")
moved = [launch | {"from_step": 0} for launch in launches]
(night / "launches.json").write_text(json.dumps(moved))


def save(run):
    checkpoint = {"step": run.step, "random_state": torch.get_rng_state()}
    for part in PARTS:
        checkpoint[part] = getattr(run, part).state_dict()
    torch.save(checkpoint, folder / "checkpoints" / f"step-{run.step:03d}.pt")
