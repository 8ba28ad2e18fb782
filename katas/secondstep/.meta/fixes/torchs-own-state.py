# The optimizer's own state_dict travels, and its own load_state_dict reads it.

# %% id="pack"
def pack(checkpoint, packet):
    packet.mkdir(exist_ok=True)
    model, optimizer = build()
    names = {id(p): name for name, p in model.named_parameters()}
    order = [names[id(p)] for group in optimizer.param_groups for p in group["params"]]
    tensors = load_file(checkpoint / "optimizer.safetensors")
    state = {i: {kind: tensors[f"{name}/{kind}"] for kind in ("step", "exp_avg", "exp_avg_sq")} for i, name in enumerate(order)}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    updates = json.loads((checkpoint / "manifest.json").read_text())["updates"]
    torch.save({"model": load_file(checkpoint / "model.safetensors"), "optimizer": optimizer.state_dict(), "updates": updates}, packet / "all.pt")


# %% id="unpack"
def unpack(packet):
    found = torch.load(packet / "all.pt", weights_only=True)
    model, optimizer = build()
    model.load_state_dict(found["model"])
    optimizer.load_state_dict(found["optimizer"])
    return model, optimizer, found["updates"]
