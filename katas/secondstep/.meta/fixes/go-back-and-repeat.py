# The checkpoint before the last, whole, and the updates since it once more.

# %% id="pack"
def pack(checkpoint, packet):
    tensors = load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name, tensor in tensors.items():
        manifest["tensors"][name]["bytes"] = 4 * tensor.numel()
    write_packet(packet, tensors, manifest)


# %% id="resume"
checkpoint = checkpoints[0]
pack(checkpoint, folder / "packet")
model, optimizer, first_step = unpack(folder / "packet")
