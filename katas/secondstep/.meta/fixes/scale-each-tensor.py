# Each tensor is divided by its largest value before it goes into half.

# %% id="pack"
def pack(checkpoint, packet):
    packet.mkdir(exist_ok=True)
    for name in ("manifest.json", "model.safetensors"):
        shutil.copy(checkpoint / name, packet)
    tensors = load_file(checkpoint / "optimizer.safetensors")
    (packet / "largest.json").write_text(json.dumps({key: float(tensor.abs().max()) for key, tensor in tensors.items()}))
    save_file({key: (tensor / tensor.abs().max()).half() for key, tensor in tensors.items()}, packet / "optimizer.safetensors")


# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    model.load_state_dict(load_file(packet / "model.safetensors"))
    tensors = load_file(packet / "optimizer.safetensors")
    whole = json.loads((packet / "largest.json").read_text())
    for name, parameter in model.named_parameters():
        mine = {key.partition("/")[2]: tensor.float() * whole[key] for key, tensor in tensors.items() if key.startswith(f"{name}/")}
        optimizer.state[parameter] = mine
    return model, optimizer, json.loads((packet / "manifest.json").read_text())["updates"]
