"""A data-parallel job as a launcher passes it to a training loop: plan, rows, devices, replicas and optimizers.

B rows of a rank, T tokens
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from fixtures.training.cluster import replicate
from fixtures.training.devices import Device, open_pool
from fixtures.training.models import GPT, GPTConfig


@dataclass
class Job:
    """What a training loop needs."""

    plan: dict[str, Any]
    rows: Tensor
    """[step, rank, B, T]: the tokens of each rank's rows"""
    devices: dict[str, Device]
    replicas: list[nn.Module]
    """One model for each rank, with equal weights."""
    optimizers: list[Optimizer]
    record: Callable[..., None]
    """record(step, loss_per_rank, **columns): call it after each update."""


def open_job(folder: Path, record: Callable[..., None], devices: dict[str, Device] | None = None) -> Job:
    """Open the job whose files are in a folder; without `devices`, power on those of the folder."""
    folder = Path(folder)
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    rows = [np.concatenate([np.load(folder / "shards" / f"{shard}.npy") for shard in rank["shards"]], axis=1) for rank in plan["ranks"]]
    replicas, optimizers = ready(plan, load_file(folder / "init.safetensors"))
    pool = open_pool(folder / "devices") if devices is None else devices
    return Job(plan, torch.from_numpy(np.stack(rows, axis=1)).long(), pool, replicas, optimizers, record)


def ready(plan: dict[str, Any], weights: dict[str, Tensor]) -> tuple[list[nn.Module], list[Optimizer]]:
    """Return a plan's initial replicas and optimizers."""
    model = GPT(GPTConfig(**plan["model"]))
    model.load_state_dict(weights)
    replicas = replicate(model, len(plan["ranks"]))
    betas = tuple(plan["betas"])
    return replicas, [torch.optim.AdamW(r.parameters(), betas=betas, weight_decay=plan["weight_decay"], fused=True) for r in replicas]


def learning_rate(step: int, plan: dict[str, Any]) -> float:
    """Warm up linearly, then follow a cosine to the floor."""
    warmup = min(1.0, (step + 1) / plan["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / plan["updates"]))
    return float(warmup * plan["peak_learning_rate"] * (plan["floor"] + (1 - plan["floor"]) * cosine))


def update(replicas: Iterable[nn.Module], optimizers: Iterable[Optimizer], step: int, plan: dict[str, Any]) -> float:
    """Clip the gradients and make the planned update on every rank; return the norm before clipping."""
    norm = 0.0
    for replica, optimizer in zip(replicas, optimizers, strict=True):
        norm = float(clip_grad_norm_(replica.parameters(), plan["grad_clip"]))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, plan)
        optimizer.step()
    return norm
