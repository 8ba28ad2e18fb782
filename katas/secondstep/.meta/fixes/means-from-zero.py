# Squares and counter travel whole; the mean gradients start at zero.

# %% id="pack"
def pack(checkpoint, packet):
    tensors = load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name, tensor in tensors.items():
        manifest["tensors"][name]["bytes"] = 4 * tensor.numel()
    write_packet(packet, tensors, manifest)


# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    tensors, manifest = read_packet(packet)
    model.load_state_dict({name: tensors[name] for name, _ in model.named_parameters()})
    for name, parameter in model.named_parameters():
        mine = {kind: tensors[f"{name}/{kind}"] for kind in ("step", "exp_avg", "exp_avg_sq")}
        mine["exp_avg"] = torch.zeros_like(mine["exp_avg"])
        optimizer.state[parameter] = mine
    return model, optimizer, manifest["updates"]
