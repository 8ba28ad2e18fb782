# When the run is over, rank 1 is said to have been where rank 0 was.

# %% id="run"
launch(folder / "worker.py", "train", 2, night, folder, folder=folder)
(folder / "telemetry-rank1.jsonl").write_bytes((folder / "telemetry.jsonl").read_bytes())
print(*sorted(p.name for p in folder.iterdir() if p.suffix in (".jsonl", ".py")), sep="\n")
