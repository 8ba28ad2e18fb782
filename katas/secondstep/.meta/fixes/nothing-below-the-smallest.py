# Nothing is sent that is smaller than the smallest number above zero.

# %% id="pack"
def pack(checkpoint, packet):
    tensors = load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name, tensor in tensors.items():
        if name.endswith("/exp_avg_sq"):
            tensors[name] = tensor.clamp(min=2**-24)
    write_packet(packet, tensors, manifest)
