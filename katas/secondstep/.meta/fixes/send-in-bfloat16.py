# Sixteen bits that have the exponent of thirty-two.

# %% id="pack"
import shutil

from safetensors.torch import save_file


def pack(checkpoint, packet):
    packet.mkdir(exist_ok=True)
    for name in ("manifest.json", "model.safetensors"):
        shutil.copy(checkpoint / name, packet)
    tensors = load_file(checkpoint / "optimizer.safetensors")
    save_file({key: tensor if tensor.ndim == 0 else tensor.bfloat16() for key, tensor in tensors.items()}, packet / "optimizer.safetensors")


# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    model.load_state_dict(load_file(packet / "model.safetensors"))
    tensors = load_file(packet / "optimizer.safetensors")
    for name, parameter in model.named_parameters():
        mine = {key.partition("/")[2]: tensor.float() for key, tensor in tensors.items() if key.startswith(f"{name}/")}
        optimizer.state[parameter] = mine
    return model, optimizer, json.loads((packet / "manifest.json").read_text())["updates"]
