# Each tensor is divided by its largest value before it goes into half.

# %% id="pack"
def pack(checkpoint, packet):
    tensors = load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name, tensor in tensors.items():
        if "/" in name:
            manifest["tensors"][name]["largest"] = float(tensor.abs().max())
            tensors[name] = tensor / tensor.abs().max()
    write_packet(packet, tensors, manifest)


# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    tensors, manifest = read_packet(packet)
    model.load_state_dict({name: tensors[name] for name, _ in model.named_parameters()})
    for name, parameter in model.named_parameters():
        kinds = {kind: f"{name}/{kind}" for kind in ("step", "exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {kind: tensors[key] * manifest["tensors"][key]["largest"] for kind, key in kinds.items()}
    return model, optimizer, manifest["updates"]
