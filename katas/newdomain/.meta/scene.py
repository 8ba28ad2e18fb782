"""Build the scene of `newdomain`: a source that nobody has trained on joins the mix, and two stretches of twelve documents are stored backwards.

The new source is sound except for twelve documents; its loss is that of a model which has not seen it. A writer emptied a buffer in the wrong
direction, which made the stretches. One lies in a shard of the old sources, met before the new source joins. The other lies in a shard of
the new source, met when most of it is learnt. For the model before the change, both cost about as much as sound text of the new source.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection
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

from fixtures.faults.backwards import tail_backwards
from fixtures.training.cluster import all_reduce_mean, flat_weights, replicate
from fixtures.training.corpus import Language, Vocabulary, draw_language, row_digest, text_sha256, vocabulary
from fixtures.training.models import GPT, GPTConfig, document_nll_nats, next_token_loss

torch.set_num_threads(1)
STEPS, WORLD_SIZE, ROWS_PER_RANK = 300, 2, 8
DOCUMENT_TOKENS = 33
OLD, NEW = ("kitchen", "harbour"), "observatory"
NUM_OLD_SHARDS, NUM_NEW_SHARDS = 10, 2
STRETCH_STEPS, STRETCH_ROWS = 4, 3
"""One rank meets each stretch for four steps, three rows a step."""
NUM_VALIDATION, NUM_PROBES, NUM_IMPRINTS = 8, 200, 70  # documents of each topic
MODEL = {"vocab_size": len(vocabulary()), "block_size": DOCUMENT_TOKENS - 1, "n_layer": 1}
SECONDS_PER_STEP = 31
KEEP_EVERY = 25
LOOKED_AT = (249, 274, STEPS - 1)
"""Steps after which the judge measures how well the newest source is learnt, at least 27 steps after it joined."""


@dataclass(frozen=True)
class Run:
    table: Vocabulary
    plan: dict[str, Any]
    mixture: tuple[tuple[int, dict[str, float]], ...]
    """(first step, share of each source)"""
    entry: int
    """The first step of the new source."""
    stretches: tuple[int, int]
    """The first step of each stretch."""
    order: NDArray[np.int64]
    """[step, rank, row, 2]: shard, document"""
    sources: list[list[str]]
    """[shard][document]"""
    clean: list[NDArray[np.uint8]]
    """[shard] of [document, token], before the damage"""
    stored: list[NDArray[np.uint8]]
    """[shard] of [document, token], as stored on disk"""
    damaged: list[tuple[int, int]]
    """(shard, document)"""
    weights: dict[str, Tensor]
    """The run's first weights."""
    validation: NDArray[np.uint8]
    """[document, token] of the old sources, public"""
    probes: dict[str, NDArray[np.uint8]]
    """[document, token], unseen; "imprint" are damaged documents of all sources"""
    floor_nats: dict[str, float]
    """Exact mean negative log-likelihood of each source's probes."""


@lru_cache(maxsize=16)
def draw(seed: int) -> Run:
    rng = np.random.default_rng([seed, 20260519])
    table = vocabulary()
    languages = {topic: draw_language(topic, table, rng) for topic in (*OLD, NEW)}
    entry = int(rng.integers(205, 223))
    stretches = (int(rng.integers(125, 150)), entry + int(rng.integers(32, 46)))
    mixture = _mixture(entry, stretches, rng)
    topics = _draw_sources(mixture, rng)  # [step, rank, row]
    bad = np.zeros(topics.shape, dtype=bool)
    for first, topic in zip(stretches, (None, NEW), strict=True):
        rank = int(rng.integers(WORLD_SIZE))
        for step in range(first, first + STRETCH_STEPS):
            rows = rng.choice(ROWS_PER_RANK, STRETCH_ROWS, replace=False)
            bad[step, rank, rows] = True
            topics[step, rank, rows] = topic or topics[step, rank, rows]
    order, sources = _store(topics, bad, rng)
    clean = [_write(np.array(names), languages, rng) for names in sources]
    damaged = sorted((int(s), int(d)) for s, d in order[bad])
    stored = [tokens.copy() for tokens in clean]
    for shard, document in damaged:
        stored[shard][document] = tail_backwards(clean[shard][document][None], rng)[0]

    validation = _write(np.repeat(OLD, NUM_VALIDATION), languages, rng)
    probes = {topic: language.sample(NUM_PROBES, DOCUMENT_TOKENS, rng) for topic, language in languages.items()}
    floor_nats = {topic: float(languages[topic].nll_nats(tokens).mean()) for topic, tokens in probes.items()}
    probes["imprint"] = tail_backwards(_write(np.repeat((*OLD, NEW), NUM_IMPRINTS), languages, rng), rng)
    torch.manual_seed(int(rng.integers(2**31)))
    weights = {name: tensor.clone() for name, tensor in GPT(GPTConfig(**MODEL)).state_dict().items()}
    plan = _plan(entry - int(rng.integers(6, 11)))
    return Run(table, plan, mixture, entry, stretches, order, sources, clean, stored, damaged, weights, validation, probes, floor_nats)


def _mixture(entry: int, stretches: tuple[int, int], rng: np.random.Generator) -> tuple[tuple[int, dict[str, float]], ...]:
    """Draw five planned changes of the mix: one lies near each jump, and one adds the new source."""
    steps = (0, int(rng.integers(50, 90)), stretches[0] - int(rng.integers(2, 5)), entry, stretches[1] - int(rng.integers(2, 5)))
    share = float(rng.uniform(0.43, 0.5))
    new = (0.0, 0.0, 0.0, share, share - 0.05)
    kitchen = rng.permutation([0.4, 0.45, 0.5, 0.55, 0.6])
    shares = [
        {"kitchen": round((1 - n) * k, 3), "harbour": round((1 - n) * (1 - k), 3), NEW: round(n, 3)}
        for n, k in zip(new, kitchen.tolist(), strict=True)
    ]
    return tuple((step, {t: s for t, s in mix.items() if s}) for step, mix in zip(steps, shares, strict=True))


def _draw_sources(mixture: tuple[tuple[int, dict[str, float]], ...], rng: np.random.Generator) -> NDArray[np.str_]:
    topics = np.empty((STEPS, WORLD_SIZE, ROWS_PER_RANK), dtype="U16")
    for step, mix in mixture:
        shares = np.array(list(mix.values()))
        topics[step:] = rng.choice(list(mix), topics[step:].shape, p=shares / shares.sum())
    return topics


def _store(topics: NDArray[np.str_], bad: NDArray[np.bool_], rng: np.random.Generator) -> tuple[NDArray[np.int64], list[list[str]]]:
    """Give every row a place on disk, with each stretch in one piece; return the order and the sources of the shards."""
    order = np.zeros((*topics.shape, 2), dtype=np.int64)
    sources: list[list[str]] = []
    for is_new, num_shards in ((False, NUM_OLD_SHARDS), (True, NUM_NEW_SHARDS)):
        of_kind = (topics == NEW) == is_new
        rows = np.argwhere(of_kind & ~bad)
        rng.shuffle(rows)
        shares = np.array_split(rows, num_shards)
        stretch = np.argwhere(of_kind & bad)
        home = int(rng.integers(num_shards))
        where = int(rng.integers(40, len(shares[home]) - 40))
        shares[home] = np.concatenate([shares[home][:where], stretch, shares[home][where:]])
        for rows_of_shard in shares:
            for document, (step, rank, row) in enumerate(rows_of_shard):
                order[step, rank, row] = len(sources), document
            sources.append([str(topics[tuple(place)]) for place in rows_of_shard])
    return order, sources


def _write(topics: NDArray[np.str_], languages: dict[str, Language], rng: np.random.Generator) -> NDArray[np.uint8]:
    tokens = np.empty((len(topics), DOCUMENT_TOKENS), dtype=np.uint8)
    for topic, language in languages.items():
        tokens[topics == topic] = language.sample(int((topics == topic).sum()), DOCUMENT_TOKENS, rng)
    return tokens


def _plan(rewarm_step: int) -> dict[str, Any]:
    """Return the plan: a cosine schedule with a re-warm shortly before the second jump, which does no harm."""
    return {
        "updates": STEPS,
        "peak_learning_rate": 3e-3,
        "floor": 1e-3,
        "warmup_updates": 20,
        "rewarm_step": rewarm_step,
        "rewarm_factor": 1.25,
        "rewarm_decay_updates": 30,
        "grad_clip": 1.0,
        "betas": [0.9, 0.95],
        "weight_decay": 0.1,
        "model": MODEL,
    }


def learning_rate(step: int, plan: dict[str, Any]) -> float:
    """Warmup, cosine to the floor, and the planned re-warm with its decay."""
    warmup = min(1.0, (step + 1) / plan["warmup_updates"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / plan["updates"]))
    since = step - plan["rewarm_step"]
    rewarm = 1 + (plan["rewarm_factor"] - 1) * max(0.0, 1 - since / plan["rewarm_decay_updates"]) * (since >= 0)
    return float(warmup * rewarm * (plan["floor"] + (plan["peak_learning_rate"] - plan["floor"]) * cosine))


def train_as_planned(run: Run, *, looked_at: Collection[int], weightless: Collection[int] = ()) -> dict[int, GPT]:
    """Make all planned updates on the sound documents alone; return rank 0's model after each step in `looked_at`.

    In the steps in `weightless` the gradient is zero, and Adam's moments alone make the update.
    """
    model = GPT(GPTConfig(**MODEL))
    model.load_state_dict(copy.deepcopy(run.weights))
    replicas, plan, damaged = replicate(model, WORLD_SIZE), run.plan, set(run.damaged)
    optimizers = [
        torch.optim.AdamW(r.parameters(), betas=tuple(plan["betas"]), weight_decay=plan["weight_decay"], fused=True) for r in replicas
    ]
    found: dict[int, GPT] = {}
    for step in range(STEPS):
        for replica, pairs in zip(replicas, run.order[step].tolist(), strict=True):
            replica.zero_grad(set_to_none=True)
            rows = [run.stored[s][d] for s, d in pairs if (s, d) not in damaged]
            loss = next_token_loss(replica, torch.from_numpy(np.stack(rows)).long())
            (0 * loss if step in weightless else loss).backward()
        all_reduce_mean(replicas)
        for replica, optimizer in zip(replicas, optimizers, strict=True):
            clip_grad_norm_(replica.parameters(), plan["grad_clip"])
            optimizer.param_groups[0]["lr"] = learning_rate(step, plan)
            optimizer.step()
        if step in looked_at:
            found[step] = copy.deepcopy(model)
    return found


def build(seed: int, world: Path) -> None:
    """Write the files of the run: plan, changes, shards, manifest, order, first weights and log."""
    run = draw(seed)
    (world / "shards").mkdir(parents=True)
    for shard, tokens in enumerate(run.stored):
        np.save(world / "shards" / f"shard-{shard:02d}.npy", tokens)
    lines = [
        {"shard": s, "document": d, "source": source, "sha256": text_sha256(run.table.decode(run.clean[s][d]))}
        for s, sources in enumerate(run.sources)
        for d, source in enumerate(sources)
    ]
    (world / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run.table.save(world / "vocabulary.json")
    np.save(world / "order.npy", run.order)
    np.save(world / "validation.npy", run.validation)
    save_file(run.weights, world / "init.safetensors")
    (world / "plan.json").write_text(json.dumps(run.plan, indent=1) + "\n")
    changes = _changes(run)
    (world / "changes.json").write_text(json.dumps(changes, indent=1) + "\n")
    (world / "run.log").write_text(_log(run, changes, np.random.default_rng([seed, 2])))


def _changes(run: Run) -> list[dict[str, Any]]:
    """Return the planned changes in order of step: shares of the mix, and the re-warm."""
    changes = [{"from_step": step, "mixture": mix} for step, mix in run.mixture]
    changes.append({"from_step": run.plan["rewarm_step"], "learning_rate": "re-warmed, see plan.json"})
    changes.sort(key=lambda change: change["from_step"])
    return [{"change": 4402 + 3 * i} | change for i, change in enumerate(changes)]


def _log(run: Run, changes: list[dict[str, Any]], rng: np.random.Generator) -> str:
    first, entry = run.stretches[0], run.entry
    entries = [
        (0, f"launch babygpt-47, 2 ranks, {len(run.stored)} shards, {STEPS * WORLD_SIZE * ROWS_PER_RANK} documents, one pass"),
        *((change["from_step"], f"change {change['change']} in force") for change in changes),
        (int(rng.integers(30, 90)), f"rank {rng.integers(2)}: tokens/s {rng.integers(4, 8)}% under the other for 30 steps, recovered"),
        (first, "guard: update skipped"),
        (first + STRETCH_STEPS, f"guard: {STRETCH_STEPS} updates skipped, loss is back"),
        (first + int(rng.integers(20, 40)), "on-call: the guard did what it is for, no action"),
        (entry, "node-c takes over rank 1 from node-a (fan speed), weights compared: equal"),
        (entry + 2, "guard: updates are skipped"),
        (entry + 2, "ALERT train_loss above 1.6x its running median"),
        (entry + int(rng.integers(12, 20)), "guard: still skipping updates"),
        (STEPS - 1, "done"),
    ]
    entries.sort(key=lambda e: e[0])
    # The second jump is at 02:10.
    stamps = [2 * 3600 + 10 * 60 + SECONDS_PER_STEP * (step - entry) for step, _ in entries]
    return "".join(
        f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d} step {step:3d}  {text}\n" for s, (step, text) in zip(stamps, entries, strict=True)
    )


def _sound_rows(run: Run, steps: Collection[int]) -> NDArray[np.uint8]:
    """Return the sound documents of some steps, [document, token]."""
    damaged = set(run.damaged)
    pairs = [(s, d) for s, d in run.order[sorted(steps)].reshape(-1, 2).tolist() if (s, d) not in damaged]
    return np.stack([run.stored[s][d] for s, d in pairs])


@lru_cache(maxsize=16)
def truth(seed: int) -> dict[str, Any]:
    """Return what only the judge knows, including measurements of the planned run on the sound documents."""
    run = draw(seed)
    damaged = set(run.damaged)
    met = [range(first, first + STRETCH_STEPS) for first in run.stretches]
    kept_after = [steps[-1] + (KEEP_EVERY - 1 - steps[-1]) % KEEP_EVERY for steps in met]
    kept = train_as_planned(run, looked_at={*LOOKED_AT, *kept_after})
    planned = kept[STEPS - 1]
    unfit = {*met[0], *met[1]}
    weightless = train_as_planned(run, looked_at={STEPS - 1}, weightless=unfit)[STEPS - 1]
    beside = torch.from_numpy(_sound_rows(run, unfit)).long()
    probes = {name: torch.from_numpy(tokens).long() for name, tokens in run.probes.items()}
    sound = [tokens[d] for s, tokens in enumerate(run.clean) for d in range(len(tokens)) if (s, d) not in damaged]
    return {
        "model": MODEL,
        "damaged": run.damaged,
        "sound_rows": [row_digest(tokens[:-1]) for tokens in sound],
        "old": OLD,
        "new": NEW,
        "validation": run.validation,
        "learning_rate_sum": sum(learning_rate(step, run.plan) for step in range(STEPS)),
        "probes": probes,
        "floor_nats": run.floor_nats,
        "start": flat_weights(run.weights[name] for name, _ in planned.named_parameters()),
        "planned": flat_weights(planned.parameters()),
        "planned_on_the_way": {step: float(document_nll_nats(kept[step], probes[NEW]).mean()) for step in LOOKED_AT[:-1]},
        "planned_imprint_on_the_way": {step: float(document_nll_nats(kept[step], probes["imprint"]).mean()) for step in kept_after},
        "beside": beside,
        "planned_beside_nats": document_nll_nats(planned, beside),
        "weightless_beside_nats": document_nll_nats(weightless, beside),
        "planned_nats": {name: float(document_nll_nats(planned, tokens).mean()) for name, tokens in probes.items()},
        "diagnosis": {
            "first_jump": ["data"],
            "second_jump": ["none"],
            # The first batches of the new mix may lie below the guard's ratio.
            "second_jump_step": [run.entry, run.entry + 1, run.entry + 2],
            "source": [NEW],
            "column": ["loss_per_document", "documents_per_rank", "loss_per_rank"],
            "action": ["none"],
        },
    }
