"""The scene of `secondstep`: a run that moved to another site, and the files of the first site.

The files are sound: the plan, the shards in reading order, the telemetry up to the move, and two complete checkpoints. The fault is
in the transfer. The checkpoints' manifests give the optimizer's numbers two bytes each; the smallest positive number in two bytes is
6e-8, and most of Adam's second moments are smaller. The seed draws how many (through the clip, which scales all gradients), and the
step of the move.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
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
UPDATES, ROWS, DOCUMENT_TOKENS = 300, 8, 33
KEEP_EVERY = 5
REPEATED_AT_MOST = 60
BYTES_OF_A_WEIGHT, BYTES_OF_THE_REST = 4, 2
"""In a packet, where every number is an IEEE 754 floating-point number."""
TOPICS = ("kitchen", "harbour", "observatory")
NUM_VALIDATION, NUM_PROBES = 16, 150  # documents of each topic
MODEL = {"vocab_size": len(vocabulary()), "block_size": DOCUMENT_TOKENS - 1, "n_layer": 1, "n_head": 4, "n_embd": 48}
PLAN = {
    "updates": UPDATES,
    "rows_per_update": ROWS,
    "peak_learning_rate": 3e-3,
    "floor": 0.1,
    "warmup_updates": 20,
    "betas": [0.9, 0.999],
    "weight_decay": 0.1,
    "repeated_updates_at_most": REPEATED_AT_MOST,
    "model": MODEL,
}


@dataclass(frozen=True)
class Scene:
    table: Vocabulary
    tokens: NDArray[np.uint8]
    """[document, token], in reading order"""
    shard_lengths: tuple[int, ...]
    """Documents of each shard; one shard begins with the first document after the move."""
    move: int
    """Number of updates before the move, which is also the first step after it."""
    earlier: int
    """Number of updates at the last checkpoint but one."""
    grad_clip: float
    """Small, as in some recipes: it scales all gradients, and so determines how many squares are lost."""
    weights_seed: int
    validation: NDArray[np.uint8]
    """[document, token], public"""
    probes: NDArray[np.uint8]
    """[document, token], hidden"""
    floor_nats: float
    """Exact mean negative log-likelihood of the probes."""


@lru_cache(maxsize=32)
def draw(seed: int) -> Scene:
    rng = np.random.default_rng([seed, 20260517])
    table = vocabulary()
    languages = {topic: draw_language(topic, table, rng) for topic in TOPICS}
    topics = rng.choice(TOPICS, UPDATES * ROWS)
    tokens = np.empty((len(topics), DOCUMENT_TOKENS), dtype=np.uint8)
    for topic, language in languages.items():
        tokens[topics == topic] = language.sample(int((topics == topic).sum()), DOCUMENT_TOKENS, rng)
    move = int(rng.integers(150, 191))
    earlier = move - int(rng.integers(30, 51))
    edges = [0, *(move * k // 4 for k in (1, 2, 3)), move, move + (UPDATES - move) // 2, UPDATES]
    validation, probes = (_documents(languages, each, rng) for each in (NUM_VALIDATION, NUM_PROBES))
    each = np.split(probes, len(TOPICS))
    floor_nats = float(np.mean([languages[topic].nll_nats(documents).mean() for topic, documents in zip(TOPICS, each, strict=True)]))
    lengths = tuple(int(n) * ROWS for n in np.diff(edges))
    grad_clip = float(rng.choice([0.05, 0.06, 0.08, 0.1]))
    return Scene(table, tokens, lengths, move, earlier, grad_clip, int(rng.integers(2**31)), validation, probes, floor_nats)


def _documents(languages: dict[str, Language], each: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    return np.concatenate([languages[topic].sample(each, DOCUMENT_TOKENS, rng) for topic in TOPICS])


def learning_rate(step: int) -> float:
    warmup = min(1.0, (step + 1) / PLAN["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / UPDATES))
    return float(warmup * PLAN["peak_learning_rate"] * (PLAN["floor"] + (1 - PLAN["floor"]) * cosine))


class Run:
    """The planned run, on one site from the first step to the last."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        torch.manual_seed(scene.weights_seed)
        self.model = GPT(GPTConfig(**MODEL))
        decayed = [p for p in self.model.parameters() if p.ndim >= 2]
        others = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": PLAN["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, betas=tuple(PLAN["betas"]), fused=True)
        self.validation = torch.from_numpy(scene.validation).long()
        self.telemetry: list[dict[str, float]] = []

    def step(self) -> None:
        step = len(self.telemetry)
        rows = torch.from_numpy(self.scene.tokens[step * ROWS : (step + 1) * ROWS]).long()
        self.optimizer.zero_grad()
        loss = next_token_loss(self.model, rows)
        loss.backward()
        grad_norm = clip_grad_norm_(self.model.parameters(), self.scene.grad_clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step)
        before = flat(self.model.parameters())
        self.optimizer.step()
        ratio = (flat(self.model.parameters()) - before).norm() / before.norm()
        with torch.no_grad():
            val_loss = next_token_loss(self.model, self.validation)
        values = {"train_loss": loss, "val_loss": val_loss, "grad_norm": grad_norm, "update_ratio": ratio}
        row = {name: float(value.detach()) for name, value in values.items()}
        self.telemetry.append({"step": step, **row, "learning_rate": learning_rate(step)})

    def to(self, updates: int) -> Run:
        while len(self.telemetry) < updates:
            self.step()
        return self


def flat(parameters: Iterable[Tensor]) -> Tensor:
    return torch.cat([p.detach().flatten() for p in parameters])


def build(seed: int, world: Path) -> None:
    """Write the scene: plan, corpus, telemetry before the move, log, and two checkpoints."""
    scene = draw(seed)
    (world / "plan.json").write_text(json.dumps(PLAN | {"grad_clip": scene.grad_clip}, indent=1) + "\n")
    scene.table.save(world / "vocabulary.json")
    (world / "shards").mkdir()
    for i, documents in enumerate(np.split(scene.tokens, np.cumsum(scene.shard_lengths)[:-1])):
        np.save(world / "shards" / f"shard-{i:02d}.npy", documents)
    np.save(world / "validation.npy", scene.validation)
    run = Run(scene)
    for updates in (scene.earlier, scene.move):
        _write_checkpoint(world / "checkpoints" / f"step-{updates:06d}", run.to(updates))
    rows = [{name: round(value, 9) for name, value in row.items()} for row in run.telemetry]
    (world / "before-the-move.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (world / "run.log").write_text(_log(scene, run.telemetry, np.random.default_rng([seed, 2])))


def _write_checkpoint(folder: Path, run: Run) -> None:
    """Write weights, the optimizer's tensors as name/kind, and a manifest with the norm and packet bytes of each."""
    folder.mkdir(parents=True)
    updates = len(run.telemetry)
    weights = {name: p.detach() for name, p in run.model.named_parameters()}
    state = {f"{name}/{kind}": t for name, p in run.model.named_parameters() for kind, t in run.optimizer.state[p].items()}
    save_file(weights, folder / "model.safetensors")
    save_file(state, folder / "optimizer.safetensors")
    tensors = {
        name: {
            "shape": list(t.shape),
            "norm": float(t.norm()),
            "bytes": t.numel() * (BYTES_OF_A_WEIGHT if name in weights else BYTES_OF_THE_REST),
        }
        for name, t in (weights | state).items()
    }
    manifest = {"updates": updates, "next_document": updates * ROWS, "tensors": tensors}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _log(scene: Scene, telemetry: list[dict[str, float]], rng: np.random.Generator) -> str:
    highest = max(telemetry[-20:-1], key=lambda row: row["grad_norm"])
    shards = len(scene.shard_lengths)
    entries = [
        (0, f"launch babygpt-61 at site east, {len(scene.tokens)} documents in {shards} shards, one epoch"),
        (int(rng.integers(40, 80)), f"node e-07: {rng.integers(4, 9)}% fewer tokens/s for {rng.integers(10, 30)} steps, recovered"),
        (scene.earlier, f"checkpoint step-{scene.earlier:06d} written"),
        (int(highest["step"]), f"grad_norm {highest['grad_norm']:.2f}, the highest of the last 20 steps"),
        (scene.move, f"checkpoint step-{scene.move:06d} written; site east goes down for maintenance (planned, change 5120)"),
        (scene.move, "packet sent to site west, node w-02, and checked: weights equal, norm of the other tensors equal to 3 digits"),
        (scene.move, "resumed on node w-02; shard-04 opened"),
        (scene.move + 1, "ALERT train_loss above 2x its running median"),
    ]
    start_s = 60 * 60 + int(rng.integers(60))
    # The move takes nineteen minutes.
    stamps = [start_s + 8 * step + (19 * 60 if i > 4 else 0) for i, (step, _) in enumerate(entries)]
    return "".join(
        f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d} step {step:3d}  {text}\n" for s, (step, text) in zip(stamps, entries, strict=True)
    )


@lru_cache(maxsize=32)
def truth(seed: int) -> dict[str, Any]:
    """Return what only the judge knows: the weights of the unmoved run after each step."""
    scene = draw(seed)
    run = Run(scene).to(scene.move)
    way = [flat(run.model.parameters())]
    while len(run.telemetry) < UPDATES:
        run.step()
        way.append(flat(run.model.parameters()))
    probes = torch.from_numpy(scene.probes).long()
    last = range(scene.move, UPDATES)
    return {
        "model": MODEL,
        "move": scene.move,
        "updates": UPDATES,
        "repeated_at_most": REPEATED_AT_MOST,
        "kept": [step for step in last if (step + 1) % KEEP_EVERY == 0],
        "way": way,
        "val_loss": [row["val_loss"] for row in run.telemetry],
        "rows": [row_digest(tokens[:-1]) for tokens in scene.tokens[scene.move * ROWS :]],
        "validation": scene.validation,
        "probes": probes,
        "floor_nats": scene.floor_nats,
        "unmoved_excess_nats": float(document_nll_nats(run.model, probes).mean()) - scene.floor_nats,
        "learning_rate_sum": sum(learning_rate(step) for step in last),
        "diagnosis": {
            "cause": ["optimizer_state", "numerics"],
            "first_bad_step": [scene.move],
            "did_not_arrive": ["exp_avg_sq"],
            "column": ["update_ratio", "val_loss"],
            "action": ["repair_the_transfer"],
        },
    }
