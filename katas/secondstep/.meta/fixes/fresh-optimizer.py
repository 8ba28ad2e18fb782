# Weights alone; the optimizer starts as new.

# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    model.load_state_dict(load_file(packet / "model.safetensors"))
    return model, optimizer, json.loads((packet / "manifest.json").read_text())["updates"]
