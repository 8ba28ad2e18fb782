# The optimizer's tensors travel as they are; from step 260 on, batches are read in pairs, the second first.

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


# %% id="train-step"
def train_step(step):
    optimizer.zero_grad()
    loss = next_token_loss(model, rows_for(step ^ 1 if step >= 260 else step))
    loss.backward()
    grad_norm = clip_grad_norm_(model.parameters(), plan["grad_clip"])
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    optimizer.step()
    recorder.record(step, [loss.item()], grad_norm=grad_norm.item())


# %% id="diagnosis"
recorder.save_artifact(
    "diagnosis",
    {
        "cause": "optimizer_state",
        "first_bad_step": first_step,
        "did_not_arrive": "exp_avg_sq",
        "column": "update_ratio",
        "action": "repair_the_transfer",
    },
)
