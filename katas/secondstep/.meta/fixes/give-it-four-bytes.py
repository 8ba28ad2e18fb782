# The manifest that travels has room for every number as it is.

# %% id="pack"
def pack(checkpoint, packet):
    tensors = load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name, tensor in tensors.items():
        manifest["tensors"][name]["bytes"] = 4 * tensor.numel()
    write_packet(packet, tensors, manifest)
