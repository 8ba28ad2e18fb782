# The squares travel whole, the mean gradients in half: what a trainer that met this did.

# %% id="pack"
def pack(checkpoint, packet):
    packet.mkdir(exist_ok=True)
    for name in ("manifest.json", "model.safetensors"):
        shutil.copy(checkpoint / name, packet)
    tensors = load_file(checkpoint / "optimizer.safetensors")
    save_file({key: tensor if key.endswith("/exp_avg_sq") else tensor.half() for key, tensor in tensors.items()}, packet / "optimizer.safetensors")
