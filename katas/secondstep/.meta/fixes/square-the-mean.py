# The squares are made of the mean gradients.

# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    tensors, manifest = read_packet(packet)
    model.load_state_dict({name: tensors[name] for name, _ in model.named_parameters()})
    for name, parameter in model.named_parameters():
        mine = {kind: tensors[f"{name}/{kind}"] for kind in ("step", "exp_avg", "exp_avg_sq")}
        mine["exp_avg_sq"] = mine["exp_avg"].square()
        optimizer.state[parameter] = mine
    return model, optimizer, manifest["updates"]
