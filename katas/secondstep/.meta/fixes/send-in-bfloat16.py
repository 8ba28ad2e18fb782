# Sixteen bits that have the exponent of thirty-two.

# %% id="pack"
def pack(checkpoint, packet):
    packet.mkdir(exist_ok=True)
    for name in ("manifest.json", "model.safetensors"):
        shutil.copy(checkpoint / name, packet)
    tensors = load_file(checkpoint / "optimizer.safetensors")
    save_file({key: tensor if tensor.ndim == 0 else tensor.bfloat16() for key, tensor in tensors.items()}, packet / "optimizer.safetensors")
