"""What a launcher hands to a training loop."""

import json

import numpy as np
import pytest
import torch
from jobs import learning_rate, open_job, update
from safetensors.torch import save_file

from fixtures.faults.hardware import sound_silicon
from fixtures.training.cluster import all_reduce_mean, flat_weights
from fixtures.training.devices import on
from fixtures.training.models import GPT, GPTConfig, next_token_loss

PLAN = {
    "updates": 4,
    "ranks": [{"device": "a", "shards": ["north", "south"]}, {"device": "b", "shards": ["east"]}],
    "spares": [],
    "peak_learning_rate": 1e-2,
    "floor": 0.1,
    "warmup_updates": 2,
    "betas": [0.9, 0.95],
    "weight_decay": 0.1,
    "grad_clip": 1.0,
    "model": {"vocab_size": 7, "block_size": 4, "n_layer": 1, "n_head": 2, "n_embd": 8},
}


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("shards", "devices"):
        (tmp_path / kind).mkdir()
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    for name, rows in (("north", 1), ("south", 1), ("east", 2)):
        np.save(tmp_path / "shards" / f"{name}.npy", rng.integers(0, 7, (4, rows, 5), dtype=np.uint8))
    for name in ("a", "b"):
        (tmp_path / "devices" / f"{name}.bin").write_bytes(sound_silicon(rng))
    save_file(GPT(GPTConfig(**PLAN["model"])).state_dict(), tmp_path / "init.safetensors")
    return tmp_path


def test_each_rank_has_the_rows_of_its_shards(folder):
    job = open_job(folder, print)

    assert job.rows.shape == (4, 2, 2, 5)
    assert torch.equal(job.rows[:, 0, 1], torch.from_numpy(np.load(folder / "shards" / "south.npy")).long()[:, 0])
    assert sorted(job.devices) == ["a", "b"]


def test_ranks_that_average_stay_equal(folder):
    job = open_job(folder, print)

    for step, rows_RBT in enumerate(job.rows):
        for replica, rows_BT, device in zip(job.replicas, rows_RBT, job.devices.values(), strict=True):
            replica.zero_grad()
            next_token_loss(on(replica, device), rows_BT).backward()
        all_reduce_mean(job.replicas)
        update(job.replicas, job.optimizers, step, job.plan)

    one, other = (flat_weights(replica.parameters()) for replica in job.replicas)
    assert torch.equal(one, other)


def test_the_learning_rate_warms_up_and_falls_to_the_floor():
    rates = [learning_rate(step, PLAN | {"updates": 100, "warmup_updates": 10}) for step in range(100)]

    assert rates[0] < rates[4] < rates[9]
    assert rates[99] == pytest.approx(1e-3, rel=0.02)
