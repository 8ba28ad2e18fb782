# The squares travel whole, the mean gradients in half: what a trainer that met this did.

# %% id="pack"
def pack(checkpoint, packet):
    tensors = load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name, tensor in tensors.items():
        if name.endswith("/exp_avg_sq"):
            manifest["tensors"][name]["bytes"] = 4 * tensor.numel()
    write_packet(packet, tensors, manifest)
