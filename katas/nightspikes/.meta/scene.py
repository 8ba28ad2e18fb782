"""The scene of `nightspikes`: a run on two of four devices, one of which sometimes computes some columns of a product wrong.

Each rank reads two shards. The rank on the sick device also has the hardest shard, which is sound. From a third of the run on, in two or three
episodes, some forward products of that device have a few columns multiplied by 64 or more.

The probe's eight jobs have other devices, each job of another kind. Three have a quiet fault, one in each layout of product. In one a spare is
sick. One is sound, and a shard turns hard half-way. Three are twice as long: a planned device is loud early, in a different layout each, and a
second device late: the other planned one, or one of the spares.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jobs import learning_rate, ready, update
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from fixtures.faults.hardware import age, silicon_with_a_weak_lane, sound_silicon, struck, write_host_logs
from fixtures.training import devices as vendors
from fixtures.training.cluster import flat_weights
from fixtures.training.corpus import draw_language, vocabulary
from fixtures.training.devices import FORWARD, INPUT_GRAD, SILICON_BYTES, WEIGHT_GRAD, Device, on
from fixtures.training.models import GPT, GPTConfig, next_token_loss

torch.set_num_threads(1)
ROWS_PER_SHARD, DOCUMENT_TOKENS = 2, 33
RUN_UPDATES, JOB_UPDATES = 140, 36
RUN_WIDTH, JOB_WIDTH = 48, 32
OPERATIONS = 12
"""Products of one rank in one update: four linear layers, three products each."""
FEWEST = 2**7
"""The least that a device's registers hold as the beginning and as the period of a fault, in products."""
LAYOUTS = (FORWARD, INPUT_GRAD, WEIGHT_GRAD)
TOPICS = ("kitchen", "harbour", "observatory")
SEVERITIES: dict[str, dict[str, tuple[float, float]]] = {
    "run": {"factor": (64, 129), "stride": (4, 17), "chance": (0.3, 0.7)},
    "loud": {"factor": (64, 513), "stride": (1, 5), "chance": (0.2, 0.7)},
    "quiet": {"factor": (64, 129), "stride": (16, 65), "chance": (0.05, 0.4)},
}
SECOND = ("then the other", "then spare 0", "then spare 1")
"""The second sick device of each of the three long jobs."""
EARLY, LATE = (0.14, 0.22), (0.62, 0.75)
"""Parts of the run, so far apart that a device with three times as many products still errs after the other."""
NUM_VALIDATION = 6  # documents of each shard
HARD = 2.0  # sharpness of the hard shard
KEEP_EVERY = 10
QUIET_STEPS = 12
"""Steps between two wrong updates of different episodes."""


@dataclass(frozen=True)
class Task:
    """A job and its faults."""

    plan: dict[str, Any]
    shards: dict[str, NDArray[np.uint8]]
    """name: [step, row, token]"""
    silicon: dict[str, bytes]
    weights: dict[str, Tensor]
    """What the run starts from."""
    sick: tuple[str, ...]
    """The devices that compute wrong."""
    bad_steps: list[int]
    """The updates in which the first of them does, if it computes only what the plan says."""
    hard_shard: str
    validation: NDArray[np.uint8]
    """[document, token], of the four shards' languages"""


def _plan(updates: int, width: int, ranks: list[dict[str, Any]], spares: list[str]) -> dict[str, Any]:
    return {
        "updates": updates,
        "ranks": ranks,
        "spares": spares,
        "peak_learning_rate": 8e-3,
        "floor": 0.1,
        "warmup_updates": updates // 5,
        "betas": [0.9, 0.95],
        "weight_decay": 0.1,
        "grad_clip": 1.0,
        "model": {"vocab_size": len(vocabulary()), "block_size": DOCUMENT_TOKENS - 1, "n_layer": 1, "n_head": 4, "n_embd": width},
    }


def pass_of(width: int) -> list[tuple[int, int]]:
    """Return (layout, columns) of one rank's products in one update, in order."""
    layers = [(3 * width, width), (width, width), (4 * width, width), (width, 4 * width)]  # (outputs, inputs)
    backward = [(layout, inputs) for _, inputs in reversed(layers) for layout in (INPUT_GRAD, WEIGHT_GRAD)]
    return [(FORWARD, outputs) for outputs, _ in layers] + backward


def bad_steps(silicon: bytes, updates: int, width: int) -> list[int]:
    """Return the updates in which a device that computes only what the plan says is wrong."""
    found = []
    for step in range(updates):
        if any(struck(silicon, layout, [step * OPERATIONS + i], columns) for i, (layout, columns) in enumerate(pass_of(width))):
            found.append(step)
    return found


def _weak(rng: np.random.Generator, layout: int, severity: str, updates: int, width: int, when: tuple[float, float] = (0.3, 0.55)) -> bytes:
    """Return silicon that is wrong in at least 6 % of the updates, first within the given part of the run."""
    span = updates * OPERATIONS
    bounds = SEVERITIES[severity] | ({"factor": (64, 513)} if (severity, layout) == ("quiet", FORWARD) else {})
    while True:
        silicon = silicon_with_a_weak_lane(
            rng,
            begins=(max(FEWEST, int(when[0] * span)), int((when[1] - 0.05) * span)),
            layout=layout,
            # Half of the lanes are used by the wide products only.
            lane=(0, width - 8) if rng.random() < 0.6 else (width, 3 * width - 8),
            width=(2, 9),
            period=(max(FEWEST, int(0.25 * span)), int(0.4 * span)),
            share=(0.3, 0.6),
            **bounds,
        )
        bad = bad_steps(silicon, updates, width)
        if len(bad) >= 0.06 * updates and bad[0] <= when[1] * updates:
            return silicon


def _task(rng: np.random.Generator, kind: str, layout: int, updates: int, width: int, sick_rank: int, hard_rank: int) -> Task:  # noqa: PLR0913
    hosts = rng.choice(40, 2, replace=False)
    names = [str(n) for n in rng.permutation([f"n{host:02d}-g{g}" for host in hosts for g in rng.choice(8, 2, replace=False)])]
    placed, spares = names[:2], names[2:]
    first, second = placed[sick_rank], dict(zip(SECOND, (placed[1 - sick_rank], *spares), strict=True)).get(kind)
    sick = {"spare": (spares[int(rng.integers(2))],), "sound": ()}.get(kind, (first, second) if second else (first,))
    shards, validation = _shards(rng, updates, turns_hard=kind == "sound")
    easy, hard = list(shards)[:2], list(shards)[2:]
    ranks = [{"device": device, "shards": hard if rank == hard_rank else easy} for rank, device in enumerate(placed)]
    plan = _plan(updates, width, ranks, spares)
    torch.manual_seed(int(rng.integers(2**31)))
    weights = {name: tensor.clone() for name, tensor in GPT(GPTConfig(**plan["model"])).state_dict().items()}
    severity = kind if kind in SEVERITIES else "loud"
    when = dict(zip(sick, (EARLY, LATE), strict=True)) if second else {}
    silicon = {
        name: _weak(rng, layout, severity, updates, width, when.get(name, (0.3, 0.55))) if name in sick else sound_silicon(rng)
        for name in sorted(names)
    }
    bad = bad_steps(silicon[sick[0]], updates, width) if sick else []
    return Task(plan, shards, silicon, weights, sick, bad, hard[1], validation)


def _shards(rng: np.random.Generator, updates: int, turns_hard: bool) -> tuple[dict[str, NDArray[np.uint8]], NDArray[np.uint8]]:
    """Return four shards, the last one much less predictable, and validation documents of all four."""
    table = vocabulary()
    shape = (updates, ROWS_PER_SHARD, DOCUMENT_TOKENS)
    shards, validation = {}, []
    for i, topic in enumerate((*TOPICS, TOPICS[int(rng.integers(3))])):
        language = draw_language(topic, table, rng, sharpness=HARD if i == 3 else 0.35)
        tokens = language.sample(updates * ROWS_PER_SHARD, DOCUMENT_TOKENS, rng).reshape(shape)
        if i == 0 and turns_hard:
            # Another source from half-way on: one rank's loss jumps, and its arithmetic is right.
            late = draw_language(TOPICS[2], table, rng, sharpness=HARD)
            tokens[updates // 2 :] = late.sample(updates * ROWS_PER_SHARD, DOCUMENT_TOKENS, rng).reshape(shape)[updates // 2 :]
        shards[f"{topic}-{25 * i + rng.integers(25):02d}"] = tokens
        validation.append(language.sample(NUM_VALIDATION, DOCUMENT_TOKENS, rng))
    return shards, np.concatenate(validation)


@lru_cache(maxsize=8)
def run_of(seed: int) -> Task:
    rng = np.random.default_rng([seed, 20260320])
    rank = int(rng.integers(2))
    run = _task(rng, "run", FORWARD, RUN_UPDATES, RUN_WIDTH, sick_rank=rank, hard_rank=rank)
    model, way = train_soundly(run)
    while not _is_seen_twice(run, model, way):
        silicon = _weak(rng, FORWARD, "run", RUN_UPDATES, RUN_WIDTH)
        run = replace(run, silicon=run.silicon | {run.sick[0]: silicon}, bad_steps=bad_steps(silicon, RUN_UPDATES, RUN_WIDTH))
    return run


@torch.no_grad()
def _is_seen_twice(run: Task, model: nn.Module, way: list[Tensor]) -> bool:
    """Return whether the sick device's loss is 0.25 nats too high on three steps of each episode, but never by 1 nat, with the planned weights."""
    rank = [r["device"] for r in run.plan["ranks"]].index(run.sick[0])
    step_S = np.array(run.bad_steps)
    device, sound, found = Device(run.silicon[run.sick[0]]), Device(sound_silicon(np.random.default_rng(0))), []
    for step, rows_BT in zip(step_S, rows_of(run)[step_S, rank], strict=True):
        nn.utils.vector_to_parameters(way[step - 1], model.parameters())
        age(device, int(step) * OPERATIONS)
        found.append(float(next_token_loss(on(model, device), rows_BT) - next_token_loss(on(model, sound), rows_BT)))
    times = np.split(np.array(found), np.flatnonzero(np.diff(step_S) > QUIET_STEPS) + 1)
    return len(times) >= 2 and all((time > 0.25).sum() >= 3 for time in times[:2]) and max(found) < 1


@lru_cache(maxsize=8)
def jobs_of(seed: int) -> list[Task]:
    rng = np.random.default_rng([seed, 20260321])
    kinds = [
        *(("quiet", layout) for layout in LAYOUTS),
        *zip(SECOND, rng.permutation(LAYOUTS).tolist(), strict=True),
        ("spare", int(rng.integers(3))),
        ("sound", FORWARD),
    ]
    makes = 1 + rng.permutation(255)[: len(kinds)]
    jobs = []
    for n, i in enumerate(rng.permutation(len(kinds))):
        kind, layout = kinds[i]
        # The sick rank alternates, and it has the hard shard in half of the jobs. Where a spare is sick late, the rank of its number is sick early:
        # a replacement by the first spare, the last one, or the one of the rank's number meets the sick spare.
        sick_rank = int(kind[-1]) if kind.startswith("then spare") else n % 2
        task = _task(rng, kind, layout, JOB_UPDATES * (1 + (kind in SECOND)), JOB_WIDTH, sick_rank=sick_rank, hard_rank=n // 2 % 2)
        jobs.append(_of_kind(task, makes[n]))
    return jobs


def _of_kind(task: Task, kind: int) -> Task:
    return replace(task, silicon={name: silicon + bytes([kind]) for name, silicon in task.silicon.items()})


def rows_of(task: Task) -> Tensor:
    """Return [step, rank, row, token]."""
    ranks = [np.concatenate([task.shards[name] for name in rank["shards"]], axis=1) for rank in task.plan["ranks"]]
    return torch.from_numpy(np.stack(ranks, axis=1)).long()


def train_soundly(task: Task) -> tuple[nn.Module, list[Tensor]]:
    """Train as planned on a sound device of the task's kind; return the model and its weights, [P], after each update.

    Ranks stay equal, so one model computes the gradients of all ranks, bit for bit as replicas do.
    """
    [model], optimizers = ready(task.plan | {"ranks": task.plan["ranks"][:1]}, task.weights)
    kind = next(iter(task.silicon.values()))[SILICON_BYTES:]
    on(model, Device(sound_silicon(np.random.default_rng(0)) + kind))
    parameters, way = list(model.parameters()), []
    for step, rows_RBT in enumerate(rows_of(task)):
        losses_R = [
            F.cross_entropy(model(rows_BT[:, :-1]).transpose(1, 2), rows_BT[:, 1:], reduction="none").mean(1).mean() for rows_BT in rows_RBT
        ]
        gradients_R = [torch.autograd.grad(loss, parameters) for loss in losses_R]
        for p, *ranks in zip(parameters, *gradients_R, strict=True):
            p.grad = sum(ranks[1:], ranks[0]) / len(ranks)
        update([model], optimizers, step, task.plan)
        way.append(flat_weights(parameters))
    return model, way


def _write(task: Task, folder: Path) -> None:
    for kind in ("shards", "devices"):
        (folder / kind).mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(task.plan, indent=1) + "\n")
    save_file(task.weights, folder / "init.safetensors")
    for name, tokens in task.shards.items():
        np.save(folder / "shards" / f"{name}.npy", tokens)
    for name, silicon in task.silicon.items():
        (folder / "devices" / f"{name}.bin").write_bytes(silicon)


def build(seed: int, world: Path) -> None:
    """Write the scene: plan, shards, initial weights, devices, their health, log."""
    run = run_of(seed)
    _write(run, world)
    np.save(world / "validation.npy", run.validation)
    rng = np.random.default_rng([seed, 3])
    (world / "evaluator").mkdir()
    (world / "evaluator" / f"n{rng.integers(50, 99)}-g{rng.integers(8)}.bin").write_bytes(sound_silicon(rng))
    (world / "run.log").write_text(_log(run, rng))
    sound = [name for name in sorted(run.silicon) if name not in run.sick]
    slow, corrected = (str(name) for name in rng.choice(sound, 2, replace=False))
    retrained = str(rng.choice(sorted(run.silicon)))
    steps = range(RUN_UPDATES)
    at = run.bad_steps[0]
    write_host_logs(world / "health", rng, sorted(run.silicon), steps, at=at, slow=slow, corrected=corrected, retrained=retrained)


def inputs(seed: int, folder: Path) -> None:
    """Write the probe's jobs in the form of the run's own files, and the vendor's file."""
    for number, job in enumerate(jobs_of(seed)):
        _write(job, folder / f"job-{number}")
    shutil.copy(vendors.__file__, folder / "vendor.py")


def _log(run: Task, rng: np.random.Generator) -> str:
    ranks, spares = run.plan["ranks"], run.plan["spares"]
    sick_rank = next(i for i, rank in enumerate(ranks) if rank["device"] in run.sick)
    first = run.bad_steps[0]
    entries = [
        (0, f"launch babygpt-63, 2 ranks, {run.plan['updates']} updates; spares: {', '.join(spares)}"),
        *((0, f"rank {i}: device {rank['device']}, shards {', '.join(rank['shards'])}") for i, rank in enumerate(ranks)),
        (0, f"shard {run.hard_shard} is new in this mixture; text hashes of all four shards verified"),
        (first - int(rng.integers(2, 7)), f"host {ranks[1 - sick_rank]['device'][:3]}: fan 2 replaced while running"),
        (run.plan["updates"] - 1, "done; no XID event on any device, no retry in the interconnect, both ranks hold equal weights"),
    ]
    start_s = 1 * 3600 + 31 * 60 + int(rng.integers(60))
    stamps = [start_s + 70 * step for step, _ in entries]
    return "".join(
        f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d} step {step:3d}  {text}\n" for s, (step, text) in zip(stamps, entries, strict=True)
    )


@lru_cache(maxsize=8)
def truth(seed: int) -> dict[str, Any]:
    """Return what only the judge knows: the weights that sound devices lead to, and the devices that are not sound."""
    run, jobs = run_of(seed), jobs_of(seed)
    model, way = train_soundly(run)
    return {
        "model": run.plan["model"],
        "start": flat_weights(run.weights[name] for name, _ in model.named_parameters()),
        "way": {step: way[step] for step in range(KEEP_EVERY - 1, RUN_UPDATES, KEEP_EVERY)} | {RUN_UPDATES - 1: way[-1]},
        "validation": run.validation,
        "sick": run.sick[0],
        "updates": RUN_UPDATES,
        "learning_rate_sum": sum(learning_rate(step, run.plan) for step in range(RUN_UPDATES)),
        "jobs": [_job_truth(job) for job in jobs],
        "diagnosis": {
            "cause": ["hardware"],
            "first_bad_step": [run.bad_steps[0]],
            "device": [run.sick[0]],
            "part_of_the_step": ["forward"],
            "column": ["loss_per_rank", "grad_norm_per_rank", "loss_per_row", "loss_per_shard"],
            "action": ["replace_device"],
        },
    }


def _job_truth(job: Task) -> dict[str, Any]:
    model, way = train_soundly(job)
    start = flat_weights(job.weights[name] for name, _ in model.named_parameters())
    return {
        "start": start,
        "end": way[-1],
        "placed": [rank["device"] for rank in job.plan["ranks"]],
        "sick": {name: job.silicon[name] for name in job.sick},
        "squares": np.array([squares(model, weights) for weights in (start, *way[:-1])]),
        "planned_work": planned_work(model),
    }


def squares(model: nn.Module, weights: Tensor) -> list[float]:
    """Return, for each linear layer with these weights, [P], the sum of squares in its weight's first JOB_WIDTH rows and columns."""
    nn.utils.vector_to_parameters(weights.clone(), model.parameters())
    return [float(weight[:JOB_WIDTH, :JOB_WIDTH].double().square().sum()) for weight in _linear_weights(model)]


def planned_work(model: nn.Module) -> list[int]:
    """Return, for each linear layer, one rank's multiply-adds with its weight in one update: forward and input gradient."""
    return [2 * weight.numel() * 2 * ROWS_PER_SHARD * (DOCUMENT_TOKENS - 1) for weight in _linear_weights(model)]


def _linear_weights(model: nn.Module) -> list[Tensor]:
    return [module.weight.detach() for module in model.modules() if isinstance(module, nn.Linear)]
