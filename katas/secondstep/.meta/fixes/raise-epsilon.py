# A larger epsilon keeps the quotient small.

# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    tensors, manifest = read_packet(packet)
    model.load_state_dict({name: tensors[name] for name, _ in model.named_parameters()})
    for name, parameter in model.named_parameters():
        mine = {kind: tensors[f"{name}/{kind}"] for kind in ("step", "exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = mine
    for group in optimizer.param_groups:
        group["eps"] = 1e-3
    return model, optimizer, manifest["updates"]
