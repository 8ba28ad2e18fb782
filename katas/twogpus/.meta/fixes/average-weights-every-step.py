# After every step the weights of the ranks are averaged; each optimizer keeps the moments of its own gradients.

# %% id="worker"
# %%writefile {folder}/worker.py
"""What each rank of the run does."""

import torch
import torch.distributed as dist
from model import LanguageModel
from plan import learning_rate, read
from safetensors.torch import load_file
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from fixtures.training.recorder import Recorder


def train(rank, world_size, night, folder):
    """Train on this rank's rows of the night, one update a step."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    plan, rows_SBT, validation_BT = read(night, rank)
    model = LanguageModel(**plan["model"])
    model.gpt.load_state_dict(load_file(night / "init.safetensors"))
    model = DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), betas=plan["betas"], weight_decay=plan["weight_decay"], fused=True)
    recorder = Recorder(
        [model.module.gpt], [optimizer], val_tokens=validation_BT, num_steps=plan["updates"], keep_every=4, folder=folder, rank=rank
    )
    for step in range(plan["updates"]):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, plan)
        optimizer.zero_grad()
        loss = model.module.loss(rows_SBT[step])
        loss.backward()
        grad_norm = clip_grad_norm_(model.parameters(), plan["grad_clip"])
        optimizer.step()
        for parameter in model.parameters():
            dist.all_reduce(parameter.data)
            parameter.data /= world_size

        mean_loss = loss.detach().clone()
        dist.all_reduce(mean_loss)
        recorder.record(step, [mean_loss.item() / world_size], grad_norm=grad_norm.item())
    recorder.finish()
    dist.destroy_process_group()
