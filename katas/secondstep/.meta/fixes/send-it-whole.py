# %% id="pack"
import shutil


def pack(checkpoint, packet):
    packet.mkdir(exist_ok=True)
    for name in ("manifest.json", "model.safetensors", "optimizer.safetensors"):
        shutil.copy(checkpoint / name, packet)


# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    model.load_state_dict(load_file(packet / "model.safetensors"))
    tensors = load_file(packet / "optimizer.safetensors")
    for name, parameter in model.named_parameters():
        mine = {key.partition("/")[2]: tensor.float() for key, tensor in tensors.items() if key.startswith(f"{name}/")}
        optimizer.state[parameter] = mine
    return model, optimizer, json.loads((packet / "manifest.json").read_text())["updates"]
