# The checkpoint before the last, whole, and the updates since it once more.

# %% id="pack"
def pack(checkpoint, packet):
    packet.mkdir(exist_ok=True)
    for name in ("manifest.json", "model.safetensors", "optimizer.safetensors"):
        shutil.copy(checkpoint / name, packet)


# %% id="resume"
checkpoint = checkpoints[0]
pack(checkpoint, folder / "packet")
model, optimizer, first_step = unpack(folder / "packet")
