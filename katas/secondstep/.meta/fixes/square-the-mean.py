# The squares are made of the mean gradients.

# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    model.load_state_dict(load_file(packet / "model.safetensors"))
    tensors = load_file(packet / "optimizer.safetensors")
    for name, parameter in model.named_parameters():
        mine = {key.partition("/")[2]: tensor.float() for key, tensor in tensors.items() if key.startswith(f"{name}/")}
        mine["exp_avg_sq"] = mine["exp_avg"].square()
        optimizer.state[parameter] = mine
    return model, optimizer, json.loads((packet / "manifest.json").read_text())["updates"]
