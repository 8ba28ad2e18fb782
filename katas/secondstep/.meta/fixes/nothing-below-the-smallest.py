# Nothing is sent that is smaller than the smallest number above zero.

# %% id="pack"
def pack(checkpoint, packet):
    packet.mkdir(exist_ok=True)
    for name in ("manifest.json", "model.safetensors"):
        shutil.copy(checkpoint / name, packet)
    tensors = load_file(checkpoint / "optimizer.safetensors")
    save_file({key: (tensor.clamp(min=2**-24) if key.endswith("/exp_avg_sq") else tensor).half() for key, tensor in tensors.items()}, packet / "optimizer.safetensors")
