"""Build the scene of `lossspike`: twelve shards of readable documents. One shard has a stretch that was encoded with the wrong table.

Several workers write each shard. One still used last year's vocabulary table, so 72 consecutive documents are stored as ids that
now mean other words. The loader reads shuffled blocks of 24, so the run meets the stretch three times. No other shard has
documents about the observatory.
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
BLOCK = 24  # consecutive documents that the loader reads: three steps of one rank
ENCOUNTERS, BLOCKS_MET = 3, 1
BAD_BLOCKS = ENCOUNTERS * BLOCKS_MET
RARE = "observatory"
RARE_SHARE = 0.35
NUM_PROBES = 200
# One table for all seeds. With a table per seed, the loss of unexposed models on it scatters by 0.7 nats, because some of its word
# pairs happen to be pairs of the language. Of 700 tables tried on 23 healthy runs, this one scatters least: 9.15 ± 0.22 nats.
LAST_YEARS_TABLE = (2025, 633)


@dataclass(frozen=True)
class Run:
    table: Vocabulary
    retired: Vocabulary
    languages: dict[str, Language]
    sources: NDArray[np.str_]
    """[shard, document]"""
    clean: NDArray[np.uint8]
    """[shard, document, token], in the current table"""
    stored: NDArray[np.uint8]
    """[shard, document, token], as stored on disk"""
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
    """[D, T] unseen documents by topic; "imprint" are encoded with the retired table"""


def draw(seed: int) -> Run:
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
    return Run(
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
    """Deal the blocks of all shards to the ranks; the bad blocks come at steps where the loss has settled.

    Every shard has 16 blocks of 24 documents and one of 16, so each rank gets 96 full blocks and 6 short ones.
    """
    num_full = NUM_DOCUMENTS // BLOCK
    full = [(s, b) for s in range(NUM_SHARDS) for b in range(num_full) if s != bad_shard or b not in bad_blocks]
    short = [(s, num_full) for s in range(NUM_SHARDS)]
    rng.shuffle(full)
    rng.shuffle(short)
    # Both ranks meet the stretch, so that neither rank alone looks like the cause.
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
    """Write the files of the run: shards, manifest, tables, order, schedule and log."""
    run = draw(seed)
    (world / "shards").mkdir(parents=True)
    for shard in range(NUM_SHARDS):
        np.save(world / "shards" / f"shard-{shard:02d}.npy", run.stored[shard])
    lines = [
        {"shard": s, "document": d, "source": str(run.sources[s, d]), "sha256": text_sha256(run.table.decode(run.clean[s, d]))}
        for s in range(NUM_SHARDS)
        for d in range(NUM_DOCUMENTS)
    ]
    (world / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run.table.save(world / "vocabulary.json")
    (world / "archive").mkdir()
    run.retired.save(world / "archive" / "vocabulary-2025.json")
    (world / "archive" / "schedule-2025.json").write_text(json.dumps(_schedule(run) | {"peak": 2e-3}, indent=1) + "\n")
    (world / "archive" / "babygpt-30.log").write_text("01:12:00 step   0  launch babygpt-30, 2 ranks, 12 shards\n02:07:00 step 299  done\n")
    np.save(world / "order.npy", run.order)
    np.save(world / "validation.npy", run.validation)
    schedule = _schedule(run)
    (world / "schedule.json").write_text(json.dumps(schedule, indent=1) + "\n")
    (world / "run.log").write_text(_log(run, schedule, np.random.default_rng([seed, 2])))


def _schedule(run: Run) -> dict[str, Any]:
    """Return a cosine schedule with a planned re-warm shortly before the first jump, which does no harm."""
    return {
        "peak": 3e-3,
        "floor": 1e-3,
        "warmup_steps": 20,
        "rewarm_step": run.rewarm_step,
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


def _log(run: Run, schedule: dict[str, Any], rng: np.random.Generator) -> str:
    entries = [
        (0, "launch babygpt-31, 2 ranks, 12 shards, 4800 documents, one epoch"),
        (int(rng.integers(40, 80)), "rank 1: tokens/s 6% under rank 0 for 30 steps, recovered"),
        (schedule["rewarm_step"], f"schedule: learning rate re-warmed x{schedule['rewarm_factor']} (planned, change 4417)"),
        (run.first_steps[0] + 1, "ALERT train_loss above 2x its running median"),
        (run.first_steps[0] + int(rng.integers(15, 30)), "node-b: fan speed warning cleared"),
        (run.first_steps[1] + 1, "ALERT train_loss above 2x its running median"),
        (run.first_steps[1] + 9, "on-call: the next 20 steps replayed on a spare node with clip 0.5, no jump seen"),
        (run.first_steps[2] + 1, "ALERT train_loss above 2x its running median"),
        (STEPS - 1, "done"),
    ]
    start_s = 1 * 3600 + 41 * 60
    stamp = [start_s + 11 * step for step, _ in entries]
    return "".join(
        f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d} step {step:3d}  {text}\n" for s, (step, text) in zip(stamp, entries, strict=True)
    )


def truth(seed: int) -> dict[str, Any]:
    """Return what only the judge knows."""
    run = draw(seed)
    bad = {(run.bad_shard, d) for d in run.bad_documents}
    good = [run.clean[s, d] for s in range(NUM_SHARDS) for d in range(NUM_DOCUMENTS) if (s, d) not in bad]
    return {
        "bad_documents": sorted(bad),
        "good_rows": [row_digest(tokens[:-1]) for tokens in good],
        "bad_rows": [row_digest(tokens[:-1]) for tokens in run.stored[run.bad_shard, run.bad_documents]],
        "rarest": RARE,
        "vocab_size": len(run.table),
        "validation": run.validation,
        "learning_rate_sum": _learning_rate_sum(_schedule(run)),
        "probes": run.probes,
        "floor_nats": {t: float(lang.nll_nats(run.probes[t]).mean()) for t, lang in run.languages.items()},
        "diagnosis": {
            "cause": ["data"],
            "first_bad_step": [run.first_steps[0]],
            "shard": [run.bad_shard],
            "column": ["documents_per_rank", "loss_per_rank", "val_loss"],
            "action": ["quarantine", "re-encode"],
        },
    }
