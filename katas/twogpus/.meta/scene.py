"""Build the scene of `twogpus`: the plan, the corpus, the rows of both ranks, and the losses of earlier runs on one GPU.

The scene is healthy. Each rank has its own order of rows, and both start from the same weights. Three earlier runs have as many rows
per update as one rank; the pilot has as many as both ranks together.
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

from fixtures.training.corpus import Language, Vocabulary, draw_language, row_digest, vocabulary
from fixtures.training.models import GPT, GPTConfig, document_nll_nats, next_token_loss

torch.set_num_threads(1)
WORLD_SIZE, ROWS_PER_RANK, UPDATES = 2, 4, 100
DOCUMENT_TOKENS = 33
TOPICS = ("kitchen", "harbour", "observatory")
LAST_WEEK, PILOT = ("babygpt-47", "babygpt-48", "babygpt-49"), "babygpt-51"
NUM_VALIDATION, NUM_PROBES = 16, 150  # documents of each topic
MODEL = {"vocab_size": len(vocabulary()), "block_size": DOCUMENT_TOKENS - 1, "n_layer": 1, "n_head": 4, "n_embd": 48}
PLAN = {
    "ranks": WORLD_SIZE,
    "rows_per_rank": ROWS_PER_RANK,
    "rows_per_update": WORLD_SIZE * ROWS_PER_RANK,
    "updates": UPDATES,
    "peak_learning_rate": 8e-3,
    "floor": 0.1,
    "warmup_updates": 40,
    "betas": [0.9, 0.95],
    "weight_decay": 0.1,
    "grad_clip": 1.0,
    "model": MODEL,
}


@dataclass(frozen=True)
class Scene:
    table: Vocabulary
    tokens: NDArray[np.uint8]
    """[document, token]"""
    order: NDArray[np.int64]
    """[step, rank, row]: documents"""
    earlier: tuple[NDArray[np.int64], ...]
    """[step, row] of last week's runs and, last, of the pilot"""
    weights: dict[str, Tensor]
    """The first weights of the run."""
    validation: NDArray[np.uint8]
    """[document, token], public"""
    probes: NDArray[np.uint8]
    """[document, token], held out"""
    floor_nats: float
    """Exact mean negative log-likelihood of the probes."""


@lru_cache(maxsize=32)
def draw(seed: int) -> Scene:
    rng = np.random.default_rng([seed, 20260311])
    table = vocabulary()
    languages = {topic: draw_language(topic, table, rng) for topic in TOPICS}
    topics = rng.choice(TOPICS, WORLD_SIZE * ROWS_PER_RANK * UPDATES)
    tokens = np.empty((len(topics), DOCUMENT_TOKENS), dtype=np.uint8)
    for topic, language in languages.items():
        tokens[topics == topic] = language.sample(int((topics == topic).sum()), DOCUMENT_TOKENS, rng)
    shape = (UPDATES, WORLD_SIZE, ROWS_PER_RANK)
    order = rng.permutation(len(topics)).reshape(shape)
    weeks = [rng.permutation(len(topics)).reshape(shape)[:, 0] for _ in LAST_WEEK]
    earlier = (*weeks, rng.permutation(len(topics)).reshape(UPDATES, -1))
    validation = _documents(languages, NUM_VALIDATION, rng)
    probes = _documents(languages, NUM_PROBES, rng)
    each = np.split(probes, len(TOPICS))
    floor_nats = float(np.mean([languages[topic].nll_nats(documents).mean() for topic, documents in zip(TOPICS, each, strict=True)]))
    torch.manual_seed(int(rng.integers(2**31)))
    weights = {name: tensor.clone() for name, tensor in _model().state_dict().items()}
    return Scene(table, tokens, order, earlier, weights, validation, probes, floor_nats)


def _documents(languages: dict[str, Language], each: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    return np.concatenate([languages[topic].sample(each, DOCUMENT_TOKENS, rng) for topic in TOPICS])


def _model() -> GPT:
    return GPT(GPTConfig(**MODEL))


def learning_rate(step: int) -> float:
    warmup = min(1.0, (step + 1) / PLAN["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / UPDATES))
    return float(warmup * PLAN["peak_learning_rate"] * (PLAN["floor"] + (1 - PLAN["floor"]) * cosine))


def train_in_one_process(scene: Scene, order: NDArray[np.int64]) -> tuple[GPT, list[tuple[float, float, Tensor]]]:
    """Train on `order` [step, row] to the plan; return the model and, for each step, train_loss, val_loss and weights [P]."""
    model = _model()
    model.load_state_dict(scene.weights)
    optimizer = torch.optim.AdamW(model.parameters(), betas=tuple(PLAN["betas"]), weight_decay=PLAN["weight_decay"], fused=True)
    validation = torch.from_numpy(scene.validation).long()
    history = []
    for step, documents in enumerate(order):
        optimizer.zero_grad()
        loss = next_token_loss(model, torch.from_numpy(scene.tokens[documents]).long())
        loss.backward()
        clip_grad_norm_(model.parameters(), PLAN["grad_clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
        with torch.no_grad():
            val_loss = float(next_token_loss(model, validation))
        history.append((loss.item(), val_loss, flat(model.parameters())))
    return model, history


def flat(parameters: Sequence[Tensor] | Any) -> Tensor:
    return torch.cat([p.detach().flatten() for p in parameters])


def build(seed: int, folder: Path) -> None:
    """Write plan, corpus, orders, first weights, log, and the telemetry of four earlier runs."""
    scene = draw(seed)
    (folder / "plan.json").write_text(json.dumps(PLAN, indent=1) + "\n")
    scene.table.save(folder / "vocabulary.json")
    np.save(folder / "documents.npy", scene.tokens)
    for rank in range(WORLD_SIZE):
        np.save(folder / f"order-rank{rank}.npy", scene.order[:, rank])
    np.save(folder / "validation.npy", scene.validation)
    save_file(scene.weights, folder / "init.safetensors")
    (folder / "run.log").write_text(_log(np.random.default_rng([seed, 2])))
    (folder / "earlier").mkdir()
    for name, rows in zip((*LAST_WEEK, PILOT), scene.earlier, strict=True):
        _file(folder / "earlier" / f"{name}.jsonl", scene, rows)


def _file(path: Path, scene: Scene, order: NDArray[np.int64]) -> None:
    _, history = train_in_one_process(scene, order)
    rows = [{"step": step, "train_loss": round(t, 6), "val_loss": round(v, 6)} for step, (t, v, _) in enumerate(history)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _log(rng: np.random.Generator) -> str:
    slow = int(rng.integers(20, 45))
    seeds = rng.integers(1000, 9999, WORLD_SIZE)
    entries = [
        (0, "launch babygpt-52, 2 ranks (gloo), 800 documents, one epoch"),
        (
            0,
            "rank 1: [W ProcessGroupGloo.cpp] Warning: Unable to resolve hostname to a (local) address. "
            "Using the loopback address as fallback. Manually set the network interface to bind to with GLOO_SOCKET_IFNAME.",
        ),
        *((0, f"rank {rank}: data seed {seed}, 400 documents, none of them another rank's") for rank, seed in enumerate(seeds)),
        (slow, f"rank 1: {rng.integers(5, 12)}% fewer tokens/s than rank 0 for {rng.integers(12, 30)} steps, recovered"),
        (UPDATES - 1, "done, 100 updates on each rank, no alert"),
    ]
    start_s = 2 * 3600 + 12 * 60 + int(rng.integers(60))
    stamps = [start_s + 9 * step for step, _ in entries]
    return "".join(
        f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d} step {step:3d}  {text}\n" for s, (step, text) in zip(stamps, entries, strict=True)
    )


@lru_cache(maxsize=32)
def truth(seed: int) -> dict[str, Any]:
    """Return the expected values, among them the weights of one process that trains on the rows of both ranks."""
    scene = draw(seed)
    model, history = train_in_one_process(scene, scene.order.reshape(UPDATES, -1))
    probes = torch.from_numpy(scene.probes).long()
    return {
        "model": MODEL,
        "updates": UPDATES,
        "start": flat(scene.weights[name] for name, _ in model.named_parameters()),
        "way": torch.stack([weights for _, _, weights in history]),
        "rows": [row_digest(tokens[:-1]) for tokens in scene.tokens],
        "validation": scene.validation,
        "probes": probes,
        "floor_nats": scene.floor_nats,
        "one_process_excess_nats": float(document_nll_nats(model, probes).mean()) - scene.floor_nats,
        "learning_rate_sum": sum(learning_rate(step) for step in range(UPDATES)),
        "diagnosis": {
            "cause": ["distributed"],
            "first_bad_step": [0],
            "column": ["checksum_per_rank", "val_loss", "grad_norm", "grad_norm_applied", "update_ratio"],
            "values_exchanged_per_step": [1],
            "action": ["repair_training_step"],
        },
    }
