# A larger epsilon keeps the quotient small.

# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    model.load_state_dict(load_file(packet / "model.safetensors"))
    tensors = load_file(packet / "optimizer.safetensors")
    for name, parameter in model.named_parameters():
        mine = {key.partition("/")[2]: tensor.float() for key, tensor in tensors.items() if key.startswith(f"{name}/")}
        optimizer.state[parameter] = mine
    for group in optimizer.param_groups:
        group["eps"] = 1e-3
    return model, optimizer, json.loads((packet / "manifest.json").read_text())["updates"]
