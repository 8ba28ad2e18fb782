# The optimizer's tensors travel as they are.

# %% id="pack"
def pack(checkpoint, packet):
    packet.mkdir(exist_ok=True)
    for name in ("manifest.json", "model.safetensors", "optimizer.safetensors"):
        shutil.copy(checkpoint / name, packet)


# %% id="diagnosis"
recorder.exhibit(
    "diagnosis",
    {
        "cause": "optimizer_state",
        "first_bad_step": first_step,
        "did_not_arrive": "exp_avg_sq",
        "column": "update_ratio",
        "action": "repair_the_transfer",
    },
)
