# All travels whole, and the last step before the move is made once more.

# %% id="pack"
def pack(checkpoint, packet):
    packet.mkdir(exist_ok=True)
    for name in ("manifest.json", "model.safetensors", "optimizer.safetensors"):
        shutil.copy(checkpoint / name, packet)


# %% id="resume"
checkpoint = checkpoints[-1]
pack(checkpoint, folder / "packet")
model, optimizer, first_step = unpack(folder / "packet")
first_step -= 1
