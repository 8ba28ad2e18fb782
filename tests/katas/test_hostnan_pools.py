import numpy as np
import pytest
import torch
from pools import PoolRecorder

from fixtures.faults.hardware import sound_silicon
from fixtures.recording.journal import read_telemetry
from fixtures.training import devices
from fixtures.training.cluster import replicate
from fixtures.training.devices import Device
from fixtures.training.models import GPT, GPTConfig, next_token_loss

CONFIG = GPTConfig(vocab_size=11, block_size=8, n_layer=1, n_head=2, n_embd=16)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def tokens():
    return torch.randint(11, (6, 9), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return GPT(CONFIG)


def test_a_row_says_what_each_device_has_computed(rng, model, tokens, tmp_path):
    pool = {name: Device(sound_silicon(rng), name) for name in ("host-0", "host-1")}
    replicas = replicate(devices.on(model, pool["host-0"]), 2)
    optimizers = [torch.optim.SGD(replica.parameters(), lr=0.1) for replica in replicas]
    recorder = PoolRecorder(replicas, optimizers, pool, val_tokens=tokens, folder=tmp_path)
    for step in range(2):
        loss = next_token_loss(model, tokens)
        loss.backward()
        optimizers[0].step()
        recorder.record(step, [loss.item()])

    rows = read_telemetry(tmp_path)

    assert [row["products"] for row in rows] == [{"host-0": 12, "host-1": 0}] * 2
    assert [row["loss_per_rank"][1] for row in rows] == [None, None]
    assert rows[0]["updates"] == [1, 0]


def test_a_device_that_was_powered_on_anew_counts_under_its_name(rng, model, tokens, tmp_path):
    silicon = sound_silicon(rng)
    device = Device(silicon, "host-0")
    optimizer = torch.optim.SGD(devices.on(model, device).parameters(), lr=0.1)
    recorder = PoolRecorder([model], [optimizer], {"host-0": device}, val_tokens=tokens, folder=tmp_path)
    for step, placed in enumerate((device, Device(silicon, "host-0"))):
        devices.on(model, placed)
        loss = next_token_loss(model, tokens)
        loss.backward()
        optimizer.step()
        recorder.record(step, [loss.item()])

    assert [row["products"] for row in read_telemetry(tmp_path)] == [{"host-0": 12}] * 2


def test_a_second_recorder_counts_from_where_it_begins(rng, model, tokens, tmp_path):
    device = Device(sound_silicon(rng), "host-0")
    optimizer = torch.optim.SGD(devices.on(model, device).parameters(), lr=0.1)
    for step in range(2):
        recorder = PoolRecorder([model], [optimizer], {"host-0": device}, val_tokens=tokens, folder=tmp_path)
        loss = next_token_loss(model, tokens)
        loss.backward()
        optimizer.step()
        recorder.record(step, [loss.item()])

    assert [(row["step"], row["products"]) for row in read_telemetry(tmp_path)] == [(0, {"host-0": 12}), (1, {"host-0": 12})]
