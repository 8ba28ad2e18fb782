# The checkpoint before the last, packed the same way.

# %% id="resume"
checkpoint = checkpoints[0]
pack(checkpoint, folder / "packet")
model, optimizer, first_step = unpack(folder / "packet")
