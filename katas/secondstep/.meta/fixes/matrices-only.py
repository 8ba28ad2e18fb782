# Matrices travel whole, vectors in half.

# %% id="pack"
def pack(checkpoint, packet):
    packet.mkdir(exist_ok=True)
    for name in ("manifest.json", "model.safetensors"):
        shutil.copy(checkpoint / name, packet)
    tensors = load_file(checkpoint / "optimizer.safetensors")
    save_file({key: tensor if tensor.ndim >= 2 else tensor.half() for key, tensor in tensors.items()}, packet / "optimizer.safetensors")
