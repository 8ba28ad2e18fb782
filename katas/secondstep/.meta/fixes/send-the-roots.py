# What an update divides by travels, not its square: the roots fit in half.

# %% id="pack"
def pack(checkpoint, packet):
    tensors = load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name, tensor in tensors.items():
        if name.endswith("/exp_avg_sq"):
            tensors[name] = tensor.sqrt()
    write_packet(packet, tensors, manifest)


# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    tensors, manifest = read_packet(packet)
    model.load_state_dict({name: tensors[name] for name, _ in model.named_parameters()})
    for name, parameter in model.named_parameters():
        mine = {kind: tensors[f"{name}/{kind}"] for kind in ("step", "exp_avg", "exp_avg_sq")}
        mine["exp_avg_sq"] = mine["exp_avg_sq"].square()
        optimizer.state[parameter] = mine
    return model, optimizer, manifest["updates"]
