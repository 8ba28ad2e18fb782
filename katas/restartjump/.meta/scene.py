"""The scene of `restartjump`: one run of 300 updates that moves to another node part-way.

The files are sound. A new shard begins where the second launch does, and its documents are like the others. The telemetry of last
week's run, without a restart, is included.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from fixtures.training.cluster import flat_weights
from fixtures.training.corpus import Language, Vocabulary, draw_language, row_digest, vocabulary
from fixtures.training.models import GPT, GPTConfig, document_nll_nats, next_token_loss

torch.set_num_threads(1)
UPDATES, ROWS = 300, 8
DOCUMENT_TOKENS = 33
TOPICS = ("kitchen", "harbour", "observatory")
LAST_WEEK = "babygpt-60"
NUM_VALIDATION, NUM_PROBES = 8, 150  # documents of each topic
MODEL = {"vocab_size": len(vocabulary()), "block_size": DOCUMENT_TOKENS - 1, "n_layer": 1, "n_head": 4, "n_embd": 48}
GROUPS = ("matrices", "embeddings_and_norms")


@dataclass(frozen=True)
class Scene:
    table: Vocabulary
    plan: dict[str, Any]
    restart: int
    """Number of updates of the first launch."""
    shard_ends: tuple[int, ...]
    """The step at which each shard ends; one of these is the restart."""
    rows: NDArray[np.uint8]
    """[step, row, token]"""
    last_week: NDArray[np.uint8]
    """[step, row, token] of last week's run"""
    weights: dict[str, Tensor]
    """The initial weights."""
    validation: NDArray[np.uint8]
    """[document, token], public"""
    probes: NDArray[np.uint8]
    """[document, token], hidden"""
    floor_nats: float
    """Exact mean negative log-likelihood of the probes."""


@lru_cache(maxsize=32)
def draw(seed: int) -> Scene:
    rng = np.random.default_rng([seed, 20260407])
    table = vocabulary()
    languages = {topic: draw_language(topic, table, rng) for topic in TOPICS}
    plan = _plan(rng)
    restart = int(rng.integers(210, 241))
    ends = sorted({int(e) for e in (rng.integers(40, 60), rng.integers(95, 120), rng.integers(252, 275))} | {restart, UPDATES})
    rows, last_week = (_documents(languages, rng.choice(TOPICS, UPDATES * ROWS), rng) for _ in range(2))
    validation = _documents(languages, np.repeat(TOPICS, NUM_VALIDATION), rng)
    probes = _documents(languages, np.repeat(TOPICS, NUM_PROBES), rng)
    each = np.split(probes, len(TOPICS))
    floor_nats = float(np.mean([languages[topic].nll_nats(documents).mean() for topic, documents in zip(TOPICS, each, strict=True)]))
    torch.manual_seed(int(rng.integers(2**31)))
    weights = {name: tensor.clone() for name, tensor in GPT(GPTConfig(**MODEL)).state_dict().items()}
    shape = (UPDATES, ROWS, DOCUMENT_TOKENS)
    return Scene(table, plan, restart, tuple(ends), rows.reshape(shape), last_week.reshape(shape), weights, validation, probes, floor_nats)


def _plan(rng: np.random.Generator) -> dict[str, Any]:
    peak = round(float(rng.uniform(0.015, 0.02)), 4)
    return {
        "updates": UPDATES,
        "rows_per_update": ROWS,
        "warmup_updates": int(rng.integers(14, 19)),
        "floor": 0.02,
        "peak_learning_rate": {"matrices": peak, "embeddings_and_norms": round(peak * float(rng.uniform(0.3, 0.5)), 4)},
        "weight_decay": {"matrices": 0.1, "embeddings_and_norms": 0.0},
        "betas": [0.9, 0.95],
        "grad_clip": 1.0,
        "checkpoint_every": 25,
        "model": MODEL,
    }


def _documents(languages: dict[str, Language], topics: Sequence[str] | NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint8]:
    topics = np.asarray(topics)
    tokens = np.empty((len(topics), DOCUMENT_TOKENS), dtype=np.uint8)
    for topic, language in languages.items():
        tokens[topics == topic] = language.sample(int((topics == topic).sum()), DOCUMENT_TOKENS, rng)
    return tokens


def factor(step: int, plan: dict[str, Any]) -> float:
    """Warmup, then cosine to the floor, as a fraction of the peak."""
    warmup = min(1.0, (step + 1) / plan["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / plan["updates"]))
    return float(warmup * (plan["floor"] + (1 - plan["floor"]) * cosine))


def group_of(name: str, parameter: Tensor) -> str:
    return "matrices" if name.startswith("blocks") and parameter.ndim == 2 else "embeddings_and_norms"


def train_through(scene: Scene, rows: NDArray[np.uint8]) -> tuple[GPT, list[dict[str, float]], list[Tensor]]:
    """Train on `rows` by the plan, without a restart; return the model and, for each step, telemetry and weights [P]."""
    plan, model = scene.plan, GPT(GPTConfig(**MODEL))
    model.load_state_dict(scene.weights)
    groups = {g: [p for name, p in model.named_parameters() if group_of(name, p) == g] for g in GROUPS}
    optimizer = torch.optim.AdamW(
        [{"params": groups[g], "weight_decay": plan["weight_decay"][g]} for g in GROUPS], betas=tuple(plan["betas"]), fused=True
    )
    validation = torch.from_numpy(scene.validation).long()
    telemetry, way = [], []
    for step in range(UPDATES):
        for name, group in zip(GROUPS, optimizer.param_groups, strict=True):
            group["lr"] = plan["peak_learning_rate"][name] * factor(step, plan)
        optimizer.zero_grad()
        loss = next_token_loss(model, torch.from_numpy(rows[step]).long())
        loss.backward()
        norm = clip_grad_norm_(model.parameters(), plan["grad_clip"])
        optimizer.step()
        with torch.no_grad():
            val_loss = float(next_token_loss(model, validation))
        telemetry.append({"step": step, "train_loss": loss.item(), "val_loss": val_loss, "grad_norm": norm.item()})
        way.append(flat_weights(model.parameters()))
    return model, telemetry, way


def build(seed: int, world: Path) -> None:
    """Write the scene: plan, shards, first weights, launches, log, and the telemetry of last week's run."""
    scene = draw(seed)
    (world / "plan.json").write_text(json.dumps(scene.plan, indent=1) + "\n")
    scene.table.save(world / "vocabulary.json")
    (world / "shards").mkdir(parents=True)
    starts = (0, *scene.shard_ends[:-1])
    for shard, (start, end) in enumerate(zip(starts, scene.shard_ends, strict=True)):
        np.save(world / "shards" / f"shard-{shard:02d}.npy", scene.rows[start:end].reshape(-1, DOCUMENT_TOKENS))
    np.save(world / "validation.npy", scene.validation)
    save_file(scene.weights, world / "init.safetensors")
    launches = [{"node": "node-b", "from_step": 0}, {"node": "node-f", "from_step": scene.restart}]
    (world / "launches.json").write_text(json.dumps(launches, indent=1) + "\n")
    (world / "run.log").write_text(_log(scene, np.random.default_rng([seed, 2])))
    (world / "earlier").mkdir()
    _, telemetry, _ = train_through(scene, scene.last_week)
    planned = [scene.plan["peak_learning_rate"]["matrices"] * factor(step, scene.plan) for step in range(UPDATES)]
    lines = [{k: round(v, 6) for k, v in row.items()} | {"planned_learning_rate": p} for row, p in zip(telemetry, planned, strict=True)]
    (world / "earlier" / f"{LAST_WEEK}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _log(scene: Scene, rng: np.random.Generator) -> str:
    new_shard = scene.shard_ends.index(scene.restart) + 1
    slow = int(rng.integers(30, 90))
    entries = [
        (0, f"launch 1 of babygpt-61 on node-b, 2400 documents in {len(scene.shard_ends)} shards, one pass"),
        *((end, f"loader: shard-{i + 1:02d} opened") for i, end in enumerate(scene.shard_ends[:-1]) if end != scene.restart),
        (slow, f"node-b: {rng.integers(4, 9)}% fewer tokens/s for {rng.integers(12, 30)} steps, recovered"),
        (scene.restart, "node-b: correctable memory errors over the limit, drained; checkpoint written"),
        (scene.restart, "auto-restart: launch 2 on node-f (burn-in passed), weights compared with the checkpoint: equal"),
        (scene.restart, f"loader: shard-{new_shard:02d} opened"),
        (scene.restart + int(rng.integers(22, 29)), "ALERT val_loss above last week's run"),
        (UPDATES - 1, "done"),
    ]
    entries.sort(key=lambda entry: entry[0])
    # The restart is at 03:00.
    stamps = [3 * 3600 + 14 * (step - scene.restart) for step, _ in entries]
    return "".join(
        f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d} step {step:3d}  {text}\n" for s, (step, text) in zip(stamps, entries, strict=True)
    )


@lru_cache(maxsize=32)
def truth(seed: int) -> dict[str, Any]:
    """Return what only the judge knows: the weights of the uninterrupted run after each step."""
    scene = draw(seed)
    model, _, way = train_through(scene, scene.rows)
    probes = torch.from_numpy(scene.probes).long()
    names = [(name, group_of(name, p)) for name, p in model.named_parameters()]
    peaks = scene.plan["peak_learning_rate"]
    return {
        "model": MODEL,
        "updates": UPDATES,
        "restart": scene.restart,
        "parameters": [name for name, _ in names],
        "learning_rates": [[peaks[group] * factor(step, scene.plan) for _, group in names] for step in range(UPDATES)],
        "start": flat_weights(scene.weights[name] for name, _ in names),
        "way": torch.stack(way),
        "rows": [row_digest(tokens[:-1]) for tokens in scene.rows.reshape(-1, DOCUMENT_TOKENS)],
        "validation": scene.validation,
        "probes": probes,
        "floor_nats": scene.floor_nats,
        "uninterrupted_excess_nats": float(document_nll_nats(model, probes).mean()) - scene.floor_nats,
        "diagnosis": {
            "cause": ["learning_rate"],
            "first_bad_step": [scene.restart + 1],
            "shard": [None],
            "column": ["learning_rate", "learning_rate_per_parameter", "update_ratio", "rows_read"],
            "lost_at_the_restart": ["place_in_the_schedule"],
        },
    }
