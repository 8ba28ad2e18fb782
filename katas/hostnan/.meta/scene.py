"""The scene of `hostnan`: a run on four hosts that resumes from a checkpoint; one host's device has a weak lane.

From some step on, that lane writes infinities into one of the wide layer's three products: forward, input gradient or weight gradient. Around
that step a shard is opened, another host throttles, memory errors are corrected and a link is retrained; these are harmless.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from fixtures.faults.hardware import silicon_with_a_weak_lane, sound_silicon, write_host_logs
from fixtures.training import devices
from fixtures.training.cluster import all_reduce_mean, flat_weights, replicate
from fixtures.training.corpus import Language, Vocabulary, draw_language, row_digest, vocabulary
from fixtures.training.devices import FORWARD, INPUT_GRAD, WEIGHT_GRAD, Device
from fixtures.training.models import GPT, GPTConfig, document_nll_nats, next_token_loss

torch.set_num_threads(1)
UPDATES, FROM_UPDATE, ROWS, WORLD_SIZE = 240, 100, 12, 4
DOCUMENT_TOKENS = 33
TOPICS = ("kitchen", "harbour", "observatory")
NUM_VALIDATION, NUM_PROBES = 8, 150  # documents of each topic
NARROW, WIDE = 48, 192
MODEL = {"vocab_size": len(vocabulary()), "block_size": DOCUMENT_TOKENS - 1, "n_layer": 1, "n_head": 4, "n_embd": NARROW}
PRODUCTS = 12  # of one rank in one step: four layers forward, then two products for each layer, last layer first
STRUCK = {
    # the product of a step that is wrong, and lanes that only the wide products use
    FORWARD: (2, (3 * NARROW, WIDE)),  # c_fc, into the wide layer
    INPUT_GRAD: (4, (NARROW, WIDE)),  # c_proj, out of it
    WEIGHT_GRAD: (5, (NARROW, WIDE)),
}


@dataclass(frozen=True)
class Scene:
    table: Vocabulary
    plan: dict[str, Any]
    sick_rank: int
    first_bad_step: int
    layout: int
    silicon: dict[str, bytes]
    """Of each host and of the spare."""
    slow: str
    """The host that throttles; it computes correctly."""
    shard_ends: tuple[int, ...]
    """The step at which each shard ends; one of them is the first bad step."""
    rows: NDArray[np.uint8]
    """[step, row, token]"""
    weights: dict[str, Tensor]
    """The first launch's initial weights."""
    validation: NDArray[np.uint8]
    """[document, token], public"""
    probes: NDArray[np.uint8]
    """[document, token], held out"""
    asked: NDArray[np.uint8]
    """[rank, row, token]: the rows of the probe's gradients"""
    floor_nats: float
    """Exact mean negative log-likelihood of the probes."""

    @property
    def sick(self) -> str:
        return self.plan["hosts"][self.sick_rank]


@lru_cache(maxsize=32)
def draw(seed: int) -> Scene:
    rng = np.random.default_rng([seed, 20261125])
    table = vocabulary()
    languages = {topic: draw_language(topic, table, rng) for topic in TOPICS}
    names = [f"host-{number:02d}" for number in rng.choice(np.arange(10, 100), WORLD_SIZE + 1, replace=False)]
    plan = _plan(rng, names)
    # The judge reads the weights that rank 0 kept, and a right run may leave the failing rank idle: rank 0's host is healthy.
    sick_rank, slow_rank = (int(r) for r in rng.choice(np.arange(1, WORLD_SIZE), 2, replace=False))
    first_bad_step = int(rng.integers(146, 200))
    layout = WEIGHT_GRAD if seed == 0 else int(rng.integers(3))
    ends = sorted({int(e) for e in (rng.integers(50, 90), rng.integers(110, 140), rng.integers(212, 230))} | {first_bad_step, UPDATES})
    rows = _documents(languages, rng.choice(TOPICS, UPDATES * ROWS), rng)
    validation = _documents(languages, np.repeat(TOPICS, NUM_VALIDATION), rng)
    probes = _documents(languages, np.repeat(TOPICS, NUM_PROBES), rng)
    asked = _documents(languages, rng.choice(TOPICS, ROWS), rng)
    each = np.split(probes, len(TOPICS))
    floor_nats = float(np.mean([languages[topic].nll_nats(documents).mean() for topic, documents in zip(TOPICS, each, strict=True)]))
    torch.manual_seed(int(rng.integers(2**31)))
    weights = {name: tensor.clone() for name, tensor in GPT(GPTConfig(**MODEL)).state_dict().items()}
    return Scene(
        table,
        plan,
        sick_rank,
        first_bad_step,
        layout,
        _silicon(rng, names, sick_rank, layout, first_bad_step),
        names[slow_rank],
        tuple(ends),
        rows.reshape(UPDATES, ROWS, DOCUMENT_TOKENS),
        weights,
        validation,
        probes,
        asked.reshape(WORLD_SIZE, -1, DOCUMENT_TOKENS),
        floor_nats,
    )


def _plan(rng: np.random.Generator, names: Sequence[str]) -> dict[str, Any]:
    return {
        "updates": UPDATES,
        "from_update": FROM_UPDATE,
        "rows_per_update": ROWS,
        "warmup_updates": int(rng.integers(16, 25)),
        "peak_learning_rate": round(float(rng.uniform(6e-3, 9e-3)), 4),
        "floor": 0.05,
        "betas": [0.9, 0.95],
        "weight_decay": 0.1,
        "grad_clip": 1.0,
        "checkpoint_every": 20,
        "hosts": list(names[:WORLD_SIZE]),
        "spare": names[WORLD_SIZE],
        "model": MODEL,
    }


def _silicon(rng: np.random.Generator, names: Sequence[str], sick_rank: int, layout: int, first_bad_step: int) -> dict[str, bytes]:
    silicon = {name: sound_silicon(rng) for name in names}
    product, lane = STRUCK[layout]
    silicon[names[sick_rank]] = silicon_with_a_weak_lane(
        rng,
        begins=PRODUCTS * (first_bad_step - FROM_UPDATE) + product,
        layout=layout,
        lane=(lane[0], lane[1] - 32),
        factor=(math.inf, math.inf),
        stride=(1, math.inf),
        chance=(0.5, 1.01),
    )
    return silicon


def _documents(languages: dict[str, Language], topics: Sequence[str] | NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint8]:
    topics = np.asarray(topics)
    tokens = np.empty((len(topics), DOCUMENT_TOKENS), dtype=np.uint8)
    for topic, language in languages.items():
        tokens[topics == topic] = language.sample(int((topics == topic).sum()), DOCUMENT_TOKENS, rng)
    return tokens


def learning_rate(step: int, plan: dict[str, Any]) -> float:
    """Warmup, then cosine to the floor."""
    warmup = min(1.0, (step + 1) / plan["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / plan["updates"]))
    return float(warmup * plan["peak_learning_rate"] * (plan["floor"] + (1 - plan["floor"]) * cosine))


@dataclass
class Ranks:
    """The state of a run on healthy devices, between two updates."""

    replicas: list[nn.Module]
    optimizers: list[torch.optim.AdamW]


def started(scene: Scene) -> Ranks:
    model = GPT(GPTConfig(**MODEL))
    model.load_state_dict(scene.weights)
    replicas = replicate(model, WORLD_SIZE)
    spare = scene.silicon[scene.plan["spare"]]
    for replica in replicas:
        devices.on(replica, Device(spare))
    return Ranks(replicas, [optimizer_of(replica, scene.plan) for replica in replicas])


def optimizer_of(model: nn.Module, plan: dict[str, Any]) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), betas=tuple(plan["betas"]), weight_decay=plan["weight_decay"], fused=True)


def train(scene: Scene, ranks: Ranks, steps: range) -> list[Tensor]:
    """Make the planned updates; return rank 0's weights, [P], after each."""
    way = []
    for step in steps:
        for replica, rows in zip(ranks.replicas, torch.from_numpy(scene.rows[step]).long().chunk(WORLD_SIZE), strict=True):
            replica.zero_grad()
            next_token_loss(replica, rows).backward()
        update(ranks, learning_rate(step, scene.plan), scene.plan["grad_clip"])
        way.append(flat_weights(ranks.replicas[0].parameters()))
    return way


def update(ranks: Ranks, rate: float, grad_clip: float) -> None:
    """Turn the ranks' gradients into one update of all ranks."""
    all_reduce_mean(ranks.replicas)
    for replica, optimizer in zip(ranks.replicas, ranks.optimizers, strict=True):
        clip_grad_norm_(replica.parameters(), grad_clip)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()


@lru_cache(maxsize=32)
def checkpoint(seed: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return weights and moments after the first launch, which ran on healthy devices."""
    scene = draw(seed)
    ranks = started(scene)
    train(scene, ranks, range(FROM_UPDATE))
    return {k: v.clone() for k, v in ranks.replicas[0].state_dict().items()}, copy.deepcopy(ranks.optimizers[0].state_dict())


def resumed(seed: int) -> Ranks:
    """Return the ranks with the checkpoint's weights and moments."""
    ranks, (weights, moments) = started(draw(seed)), checkpoint(seed)
    for replica, optimizer in zip(ranks.replicas, ranks.optimizers, strict=True):
        replica.load_state_dict(weights)
        optimizer.load_state_dict(copy.deepcopy(moments))
    return ranks


def build(seed: int, world: Path) -> None:
    """Write the scene: plan, shards, checkpoint, devices, and the logs of the run and of the hosts."""
    scene, rng = draw(seed), np.random.default_rng([seed, 2])
    (world / "plan.json").write_text(json.dumps(scene.plan, indent=1) + "\n")
    scene.table.save(world / "vocabulary.json")
    (world / "shards").mkdir(parents=True)
    starts = (0, *scene.shard_ends[:-1])
    for shard, (start, end) in enumerate(zip(starts, scene.shard_ends, strict=True)):
        np.save(world / "shards" / f"shard-{shard:02d}.npy", scene.rows[start:end].reshape(-1, DOCUMENT_TOKENS))
    np.save(world / "validation.npy", scene.validation)
    weights, moments = checkpoint(seed)
    (world / "checkpoints").mkdir()
    torch.save({"step": FROM_UPDATE, "model": weights, "optimizer": moments}, world / "checkpoints" / f"step-{FROM_UPDATE}.pt")
    (world / "devices").mkdir()
    for name, silicon in scene.silicon.items():
        (world / "devices" / f"{name}.bin").write_bytes(silicon)
    hosts, at = scene.plan["hosts"], scene.first_bad_step
    # For the public seed the failing host's log is empty; for other seeds its log says nothing about the fault either.
    corrected, retrained = (str(name) for name in rng.choice([h for h in hosts if seed or h != scene.sick], 2, replace=False))
    write_host_logs(
        world / "hosts", rng, hosts, range(FROM_UPDATE, at + 30), at=at, slow=scene.slow, corrected=corrected, retrained=retrained
    )
    (world / "run.log").write_text(_log(scene, corrected, retrained, rng))


def _log(scene: Scene, corrected: str, retrained: str, rng: np.random.Generator) -> str:
    at, plan = scene.first_bad_step, scene.plan
    entries = [
        (
            FROM_UPDATE,
            f"launch 2 of babygpt-73 from checkpoints/step-{FROM_UPDATE}.pt, on {', '.join(plan['hosts'])}; {plan['spare']} is spare",
        ),
        (FROM_UPDATE, "self-test of all five: passed"),
        *((end, f"loader: shard-{i + 1:02d} opened") for i, end in enumerate(scene.shard_ends[:-1]) if end > FROM_UPDATE),
        (at - 12, f"{scene.slow}: 16% more ms for a step, thermal throttling"),
        (at - 8, f"{corrected}: corrected memory errors over the daily limit"),
        (at - 1, f"{retrained}: link 3 retraining"),
        (at + int(rng.integers(9, 16)), "ALERT train_loss is nan (mean of five steps)"),
        (UPDATES - 1, "done"),
    ]
    entries.sort(key=lambda entry: entry[0])
    # The alert comes soon after 03:00.
    stamps = [3 * 3600 + 14 * (step - at) for step, _ in entries]
    return "".join(
        f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d} step {step:3d}  {text}\n" for s, (step, text) in zip(stamps, entries, strict=True)
    )


def inputs(seed: int, folder: Path) -> None:
    """Write the probe's inputs: weights, moments, each rank's rows, and the changes to their gradients."""
    scene = draw(seed)
    weights, moments = checkpoint(seed)
    torch.save({"model": weights, "optimizer": moments}, folder / "state.pt")
    np.save(folder / "rows.npy", scene.asked)
    (folder / "plan.json").write_text(json.dumps(scene.plan))
    # Only the changes: which ranks must be named stays with the judge.
    (folder / "changes.json").write_text(json.dumps([case["changes"] for case in cases(seed)]))


ONE, ALL = "one", "all"


@lru_cache(maxsize=32)
def cases(seed: int) -> list[dict[str, Any]]:
    """Return the probe's cases; a change of gradients is [rank, parameter, "one" or "all", "put" or "times", number, place].

    `ranks` are those to be refused; a case without them must be applied.
    """
    rng = np.random.default_rng([seed, 3])
    names = [(name, p.numel()) for name, p in GPT(GPTConfig(**MODEL)).named_parameters()]
    biases, matrices = ([n for n in names if n[0].endswith("bias") is wanted] for wanted in (True, False))

    def put(rank: int, among: list[tuple[str, int]], value: str, how_many: str = ONE) -> list[Any]:
        name, size = among[rng.integers(len(among))]
        return [rank, name, how_many, "put", value, int(rng.integers(size))]

    def times(rank: int, factor: float) -> list[Any]:
        return [rank, "", ALL, "times", factor, 0]

    found = []
    for rank in range(WORLD_SIZE):
        found.append({"what": "one nan in a matrix", "ranks": [rank], "changes": [put(rank, matrices, "nan")]})
        found.append({"what": "one inf in a matrix", "ranks": [rank], "changes": [put(rank, matrices, "inf")]})
        found.append({"what": "one nan in a bias", "ranks": [rank], "changes": [put(rank, biases, "nan")]})
    for value, what in (("-inf", "one -inf in a bias"), ("inf", "one inf in a bias")):
        rank = int(rng.integers(WORLD_SIZE))
        found.append({"what": what, "ranks": [rank], "changes": [put(rank, biases, value)]})
    rank = int(rng.integers(WORLD_SIZE))
    found.append({"what": "a whole tensor of nan", "ranks": [rank], "changes": [put(rank, matrices, "nan", ALL)]})
    one, two = (int(r) for r in sorted(rng.choice(WORLD_SIZE, 2, replace=False)))
    name, size = names[0]
    place = int(rng.integers(size))
    found.append(
        {
            "what": "inf on one rank, -inf at the same place of another",
            "ranks": [one, two],
            "changes": [[one, name, ONE, "put", "inf", place], [two, name, ONE, "put", "-inf", place]],
        }
    )
    found.append(
        {
            "what": "one nan on a rank, gradients a million times larger on another",
            "ranks": [one],
            "changes": [put(one, matrices, "nan"), times(two, 1e6)],
        }
    )
    found.append({"what": "as they are", "changes": []})
    for factor in (1e3, 1e7, 0.0, 1e-9):
        found.append({"what": f"one rank's times {factor:g}", "changes": [times(int(rng.integers(WORLD_SIZE)), factor)]})
    # The squares of the largest still fit into float32.
    for factor in (1e6, 1e17):
        found.append({"what": f"all times {factor:g}", "changes": [times(rank, factor) for rank in range(WORLD_SIZE)]})
    order = rng.permutation(len(found))
    return [found[i] for i in order]


def answer_of(seed: int, case: dict[str, Any]) -> NDArray[np.float32]:
    """Return the weights, [P], after the planned update of a case with finite gradients."""
    ranks = asked(resumed(seed), draw(seed).asked, case["changes"])
    update(ranks, RATE_ASKED, draw(seed).plan["grad_clip"])
    return flat_weights(ranks.replicas[0].parameters()).numpy()


RATE_ASKED = 1e-3
"""The learning rate that the probe passes to `apply_update`."""


def asked(ranks: Ranks, rows: NDArray[np.uint8], changes: list[list[Any]]) -> Ranks:
    """Compute each rank's gradient without a device and change it, as probe.py does."""
    for replica, tokens in zip(ranks.replicas, torch.from_numpy(rows).long(), strict=True):
        plain = GPT(GPTConfig(**MODEL))
        plain.load_state_dict(replica.state_dict())
        next_token_loss(plain, tokens).backward()
        for p, own in zip(replica.parameters(), plain.parameters(), strict=True):
            p.grad = own.grad
    for rank, name, how_many, how, value, place in changes:
        for key, p in ranks.replicas[rank].named_parameters():
            if how == "times":
                p.grad *= value
            elif key == name:
                p.grad.view(-1)[slice(None) if how_many == ALL else place] = float(value)
    return ranks


@lru_cache(maxsize=32)
def truth(seed: int) -> dict[str, Any]:
    """Return what only the judge knows: the weights of a run in which every product is right."""
    scene, ranks = draw(seed), resumed(seed)
    start = flat_weights(ranks.replicas[0].parameters())
    way = train(scene, ranks, range(FROM_UPDATE, UPDATES))
    probes = torch.from_numpy(scene.probes).long()
    healthy = [case for case in cases(seed) if "ranks" not in case]
    return {
        "model": MODEL,
        "from_update": FROM_UPDATE,
        "updates": UPDATES,
        "hosts": scene.plan["hosts"],
        "spare": scene.plan["spare"],
        "sick": scene.sick,
        "sick_rank": scene.sick_rank,
        "first_bad_step": scene.first_bad_step,
        "learning_rate_sum": sum(learning_rate(step, scene.plan) for step in range(FROM_UPDATE, UPDATES)),
        "spare_silicon": scene.silicon[scene.plan["spare"]],
        "start": start,
        "way": torch.stack(way),
        "rows": [row_digest(tokens[:-1]) for tokens in scene.rows[FROM_UPDATE:].reshape(-1, DOCUMENT_TOKENS)],
        "validation": torch.from_numpy(scene.validation).long(),
        "probes": probes,
        "floor_nats": scene.floor_nats,
        "planned_excess_nats": float(document_nll_nats(ranks.replicas[0], probes).mean()) - scene.floor_nats,
        "cases": cases(seed),
        "answers": np.stack([answer_of(seed, case) for case in healthy]),
        "diagnosis": {
            "cause": ["hardware"],
            "first_bad_step": [scene.first_bad_step],
            "host": [scene.sick],
            "first_not_finite": ["loss" if scene.layout == FORWARD else "gradient"],
            "action": ["isolate-and-go-back"],
        },
    }
