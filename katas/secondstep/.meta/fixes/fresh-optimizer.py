# Weights alone; the optimizer starts as new.

# %% id="unpack"
def unpack(packet):
    model, optimizer = build()
    tensors, manifest = read_packet(packet)
    model.load_state_dict({name: tensors[name] for name, _ in model.named_parameters()})
    return model, optimizer, manifest["updates"]
