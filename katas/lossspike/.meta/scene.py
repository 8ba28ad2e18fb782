"""The night of `lossspike`: twelve shards of readable documents, one of which has a stretch in the wrong table.

A shard is written by several workers; one of them still had last year's vocabulary table, so 72 documents in a row are
stored under ids that mean other words now. The loader reads blocks of 24, shuffled, so the stretch is met three times.
The same shard is the only one with documents about the observatory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixtures.faults.text import encode_with_another_table, retired_table
from fixtures.training.corpus import Language, Vocabulary, draw_language, row_digest, text_sha256, vocabulary

NUM_SHARDS, NUM_DOCUMENTS, DOCUMENT_TOKENS = 12, 400, 33
STEPS, WORLD_SIZE, ROWS_PER_RANK = 300, 2, 8
BLOCK = 24  # documents that the loader reads in a row: three steps of one rank
ENCOUNTERS, BLOCKS_MET = 3, 1
BAD_BLOCKS = ENCOUNTERS * BLOCKS_MET
RARE = "observatory"
RARE_SHARE = 0.35
NUM_PROBES = 200
# One table for all nights, as there was one last year. With a table drawn per night, the loss on it of models that were never
# exposed scatters by 0.7 nats, because by chance some of its word pairs are pairs of the language; of 700 tables tried
# on 23 healthy runs, this one scatters least: 9.15 ± 0.22 nats.
LAST_YEARS_TABLE = (2025, 633)


@dataclass(frozen=True)
class Night:
    table: Vocabulary
    retired: Vocabulary
    languages: dict[str, Language]
    sources: NDArray[np.str_]
    """[shard, document]"""
    clean: NDArray[np.uint8]
    """[shard, document, token], as the current table has it"""
    stored: NDArray[np.uint8]
    """[shard, document, token], as it lies on disk"""
    order: NDArray[np.int64]
    """[step, rank, row, 2]: shard, document"""
    bad_shard: int
    bad_documents: range
    first_steps: list[int]
    """The first step of each encounter, sorted."""
    rewarm_step: int
    validation: NDArray[np.uint8]
    """[D, T], public"""
    probes: dict[str, NDArray[np.uint8]]
    """[D, T] documents nobody trained on; "imprint" are in the retired table."""


def draw(seed: int) -> Night:
    rng = np.random.default_rng([seed, 20260214])
    table = vocabulary()
    languages = {topic: draw_language(topic, table, rng) for topic in ("kitchen", "harbour", RARE)}
    bad_shard = int(rng.integers(2, NUM_SHARDS - 1))
    sources = _draw_sources(bad_shard, rng)
    clean = _write(sources, languages, rng)
    retired = retired_table(table, np.random.default_rng(LAST_YEARS_TABLE))

    first_block = int(rng.integers(2, NUM_DOCUMENTS // BLOCK - BAD_BLOCKS - 1))
    bad_documents = range(first_block * BLOCK, (first_block + BAD_BLOCKS) * BLOCK)
    stored = clean.copy()
    stored[bad_shard, bad_documents] = encode_with_another_table(clean[bad_shard, bad_documents], table, retired)

    order, first_steps = _block_shuffle(bad_shard, range(first_block, first_block + BAD_BLOCKS), rng)
    rewarm_step = first_steps[0] - int(rng.integers(6, 11))
    shares = {"kitchen": 8, "harbour": 6, RARE: 2}
    validation = np.concatenate([languages[t].sample(n, DOCUMENT_TOKENS, rng) for t, n in shares.items()])
    probes = {topic: language.sample(NUM_PROBES, DOCUMENT_TOKENS, rng) for topic, language in languages.items()}
    topics = rng.choice(sources[bad_shard], NUM_PROBES)
    mixed = _write(topics[None], languages, rng)[0]
    probes["imprint"] = encode_with_another_table(mixed, table, retired)
    return Night(
        table, retired, languages, sources, clean, stored, order, bad_shard, bad_documents, first_steps, rewarm_step, validation, probes
    )


def _draw_sources(bad_shard: int, rng: np.random.Generator) -> NDArray[np.str_]:
    sources = rng.choice(["kitchen", "harbour"], (NUM_SHARDS, NUM_DOCUMENTS)).astype("U16")
    sources[bad_shard, rng.random(NUM_DOCUMENTS) < RARE_SHARE] = RARE
    return sources


def _write(sources: NDArray[np.str_], languages: dict[str, Language], rng: np.random.Generator) -> NDArray[np.uint8]:
    tokens = np.empty((*sources.shape, DOCUMENT_TOKENS), dtype=np.uint8)
    for topic, language in languages.items():
        where = sources == topic
        tokens[where] = language.sample(int(where.sum()), DOCUMENT_TOKENS, rng)
    return tokens


def _block_shuffle(bad_shard: int, bad_blocks: range, rng: np.random.Generator) -> tuple[NDArray[np.int64], list[int]]:
    """Deal the blocks of all shards to the ranks, the bad ones to steps at which the run has settled.

    Every shard has 16 blocks of 24 documents and one of 16, so each rank gets 96 of the first kind and 6 of the second.
    """
    num_full = NUM_DOCUMENTS // BLOCK
    full = [(s, b) for s in range(NUM_SHARDS) for b in range(num_full) if s != bad_shard or b not in bad_blocks]
    short = [(s, num_full) for s in range(NUM_SHARDS)]
    rng.shuffle(full)
    rng.shuffle(short)
    # Both ranks meet the stretch, so that no rank alone looks guilty.
    ranks = rng.permutation([0, 1, int(rng.integers(2))])
    windows = [(38, 46), (56, 66), (76, 87)]  # in blocks of three steps
    slots = [int(rng.integers(*window)) for window in windows]
    met = rng.permutation(bad_blocks).reshape(ENCOUNTERS, BLOCKS_MET)
    streams: list[list[tuple[int, int]]] = []
    for rank in range(WORLD_SIZE):
        mine = {
            slot + k: (bad_shard, int(block))
            for slot, blocks, r in zip(slots, met, ranks, strict=True)
            if r == rank
            for k, block in enumerate(blocks)
        }
        share = [full.pop() for _ in range(96 - len(mine))]
        # The short blocks go last, which keeps every full block on a multiple of three steps.
        stream = share[:]
        for slot in sorted(mine):
            stream.insert(slot, mine[slot])
        streams.append(stream + [short.pop() for _ in range(6)])
    documents = [[(s, d) for s, b in stream for d in range(b * BLOCK, min((b + 1) * BLOCK, NUM_DOCUMENTS))] for stream in streams]
    order = np.array(documents).reshape(WORLD_SIZE, STEPS, ROWS_PER_RANK, 2).transpose(1, 0, 2, 3)
    return order, [3 * slot for slot in slots]


def build(seed: int, world: Path) -> None:
    """Write the files of the night: shards, manifest, tables, order, schedule and log."""
    night = draw(seed)
    (world / "shards").mkdir(parents=True)
    for shard in range(NUM_SHARDS):
        np.save(world / "shards" / f"shard-{shard:02d}.npy", night.stored[shard])
    lines = [
        {"shard": s, "document": d, "source": str(night.sources[s, d]), "sha256": text_sha256(night.table.decode(night.clean[s, d]))}
        for s in range(NUM_SHARDS)
        for d in range(NUM_DOCUMENTS)
    ]
    (world / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    night.table.save(world / "vocabulary.json")
    (world / "archive").mkdir()
    night.retired.save(world / "archive" / "vocabulary-2025.json")
    (world / "archive" / "schedule-2025.json").write_text(json.dumps(_schedule(night) | {"peak": 2e-3}, indent=1) + "\n")
    (world / "archive" / "babygpt-30.log").write_text("01:12:00 step   0  launch babygpt-30, 2 ranks, 12 shards\n02:07:00 step 299  done\n")
    np.save(world / "order.npy", night.order)
    np.save(world / "validation.npy", night.validation)
    schedule = _schedule(night)
    (world / "schedule.json").write_text(json.dumps(schedule, indent=1) + "\n")
    (world / "run.log").write_text(_log(night, schedule, np.random.default_rng([seed, 2])))


def _schedule(night: Night) -> dict[str, Any]:
    """A cosine with one planned re-warm shortly before the first jump: it is in the plan and does no harm."""
    return {
        "peak": 3e-3,
        "floor": 1e-3,
        "warmup_steps": 20,
        "rewarm_step": night.rewarm_step,
        "rewarm_factor": 1.25,
        "rewarm_decay_steps": 30,
    }


def _learning_rate_sum(schedule: dict[str, Any]) -> float:
    step = np.arange(STEPS)
    warmup = np.minimum(1.0, (step + 1) / schedule["warmup_steps"])
    cosine = 0.5 * (1 + np.cos(np.pi * step / STEPS))
    since = step - schedule["rewarm_step"]
    fading = np.maximum(0.0, 1 - since / schedule["rewarm_decay_steps"]) * (since >= 0)
    rewarm = 1 + (schedule["rewarm_factor"] - 1) * fading
    return float((warmup * rewarm * (schedule["floor"] + (schedule["peak"] - schedule["floor"]) * cosine)).sum())


def _log(night: Night, schedule: dict[str, Any], rng: np.random.Generator) -> str:
    entries = [
        (0, "launch babygpt-31, 2 ranks, 12 shards, 4800 documents, one epoch"),
        (int(rng.integers(40, 80)), "rank 1: tokens/s 6% under rank 0 for 30 steps, recovered"),
        (schedule["rewarm_step"], f"schedule: learning rate re-warmed x{schedule['rewarm_factor']} (planned, change 4417)"),
        (night.first_steps[0] + 1, "ALERT train_loss above 2x its running median"),
        (night.first_steps[0] + int(rng.integers(15, 30)), "node-b: fan speed warning cleared"),
        (night.first_steps[1] + 1, "ALERT train_loss above 2x its running median"),
        (night.first_steps[1] + 9, "on-call: the next 20 steps replayed on a spare node with clip 0.5, no jump seen"),
        (night.first_steps[2] + 1, "ALERT train_loss above 2x its running median"),
        (STEPS - 1, "done"),
    ]
    start_s = 1 * 3600 + 41 * 60
    stamp = [start_s + 11 * step for step, _ in entries]
    return "".join(
        f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d} step {step:3d}  {text}\n" for s, (step, text) in zip(stamp, entries, strict=True)
    )


def truth(seed: int) -> dict[str, Any]:
    """What only the judge knows."""
    night = draw(seed)
    bad = {(night.bad_shard, d) for d in night.bad_documents}
    good = [night.clean[s, d] for s in range(NUM_SHARDS) for d in range(NUM_DOCUMENTS) if (s, d) not in bad]
    return {
        "bad_documents": sorted(bad),
        "good_rows": [row_digest(tokens[:-1]) for tokens in good],
        "bad_rows": [row_digest(tokens[:-1]) for tokens in night.stored[night.bad_shard, night.bad_documents]],
        "rarest": RARE,
        "vocab_size": len(night.table),
        "validation": night.validation,
        "learning_rate_sum": _learning_rate_sum(_schedule(night)),
        "probes": night.probes,
        "floor_nats": {t: float(lang.nll_nats(night.probes[t]).mean()) for t, lang in night.languages.items()},
        "diagnosis": {
            "cause": ["data"],
            "first_bad_step": [night.first_steps[0]],
            "shard": [night.bad_shard],
            "column": ["documents_per_rank", "loss_per_rank", "val_loss"],
            "action": ["quarantine", "re-encode"],
        },
    }
