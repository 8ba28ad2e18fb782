# The squares travel in half, a thousand times as large, and are divided on arrival.

# %% id="pack"
def pack(checkpoint, packet):
    tensors = load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name, tensor in tensors.items():
        if name.endswith("/exp_avg_sq"):
            tensors[name] = tensor * 1024
    write_packet(packet, tensors, manifest)


# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    tensors, manifest = read_packet(packet)
    model.load_state_dict({name: tensors[name] for name, _ in model.named_parameters()})
    for name, parameter in model.named_parameters():
        mine = {kind: tensors[f"{name}/{kind}"] for kind in ("step", "exp_avg", "exp_avg_sq")}
        mine["exp_avg_sq"] = mine["exp_avg_sq"] / 1024
        optimizer.state[parameter] = mine
    return model, optimizer, manifest["updates"]
