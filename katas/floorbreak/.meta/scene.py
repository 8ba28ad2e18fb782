"""Build the scene of `floorbreak`: a corpus whose source is known exactly, and the log of the previous run.

The fault is in the notebook's model, so the scene is healthy. Each seed draws new languages.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixtures.training.corpus import Language, Vocabulary, draw_language, vocabulary

STEPS, ROWS, DOCUMENT_TOKENS = 240, 12, 33
SHARES = {"kitchen": 0.5, "harbour": 0.3, "observatory": 0.2}
NUM_VALIDATION, NUM_PROBES, NUM_PERTURBED = 24, 396, 12
PEAK, FLOOR, WARMUP_STEPS = 3e-3, 3e-4, 20
PREVIOUS_RUN_EXCESS = 0.10  # nats above the source: mean of the model without the patch over 20 seeds


@dataclass(frozen=True)
class Launch:
    table: Vocabulary
    languages: dict[str, Language]
    train: NDArray[np.uint8]
    """[step, row, token]"""
    validation: NDArray[np.uint8]
    """[D, T], public"""
    validation_floor_nats: NDArray[np.float64]
    """[D]: exact negative log-likelihood under the source"""
    probes: NDArray[np.uint8]
    """[D, T], held-out documents"""
    probe_floor_nats: NDArray[np.float64]
    """[D], as above"""
    perturbed: NDArray[np.uint8]
    """[P, B, T]: the first held-out documents; in entry p, all tokens after position p come from another document"""


def draw(seed: int) -> Launch:
    rng = np.random.default_rng([seed, 20261124])
    table = vocabulary()
    languages = {topic: draw_language(topic, table, rng) for topic in SHARES}
    train, _ = _documents(languages, STEPS * ROWS, rng)
    validation, floor = _documents(languages, NUM_VALIDATION, rng)
    probes, probe_floor = _documents(languages, NUM_PROBES, rng)
    perturbed = _with_other_endings(probes[:NUM_PERTURBED], probes[NUM_PERTURBED : 2 * NUM_PERTURBED])
    train = train.reshape(STEPS, ROWS, DOCUMENT_TOKENS)
    return Launch(table, languages, train, validation, floor, probes, probe_floor, perturbed)


def _documents(languages: dict[str, Language], count: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return shuffled documents of all sources: tokens [D, T] and exact nats per predicted token [D]."""
    topics = rng.permutation([t for t, share in SHARES.items() for _ in range(round(share * count))])
    tokens = np.empty((len(topics), DOCUMENT_TOKENS), dtype=np.uint8)
    nats = np.empty(len(topics))
    for topic, language in languages.items():
        where = topics == topic
        tokens[where] = language.sample(int(where.sum()), DOCUMENT_TOKENS, rng)
        nats[where] = language.nll_nats(tokens[where])
    return tokens, nats


def _with_other_endings(own_BT: NDArray[np.uint8], others_BT: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return [T-2, B, T]: for each position, the documents with another document's tokens after it."""
    T = own_BT.shape[1]
    after_PT = np.arange(T) > np.arange(T - 2)[:, None]
    return np.where(after_PT[:, None], others_BT, own_BT)


def build(seed: int, folder: Path) -> None:
    """Write the corpus, the loss of its source, the schedule and the log."""
    launch = draw(seed)
    launch.table.save(folder / "vocabulary.json")
    np.save(folder / "train.npy", launch.train)
    np.save(folder / "validation.npy", launch.validation)
    card = {
        "documents": STEPS * ROWS,
        "validation_documents": NUM_VALIDATION,
        "validation_nll_nats_per_token_under_the_source": round(float(launch.validation_floor_nats.mean()), 4),
        "measured": "exact: the generator that wrote the documents scored them",
    }
    (folder / "source_card.json").write_text(json.dumps(card, indent=1) + "\n")
    schedule = {"peak": PEAK, "floor": FLOOR, "warmup_steps": WARMUP_STEPS, "steps": STEPS}
    (folder / "schedule.json").write_text(json.dumps(schedule, indent=1) + "\n")
    (folder / "run.log").write_text(_log(seed, launch))


def _log(seed: int, launch: Launch) -> str:
    rng = np.random.default_rng([seed, 3])
    previous = float(launch.validation_floor_nats.mean()) + PREVIOUS_RUN_EXCESS
    lines = [
        f"Mon 18:02 babygpt-40 done: val_loss {previous:.2f}",
        "Tue 10:15 change 4502: attention with a learned sink (one key and value of its own), as in the paper; reviewed, tests green",
        "Tue 10:40 change 4503: log softmax in float32, 'expect slightly better numerics'",
        f"Tue 11:20 data: {int(rng.integers(3, 9))} near-duplicate documents removed from the corpus",
        "Tue 14:00 babygpt-41 launched: same data, same schedule, same seed as babygpt-40",
        "Tue 15:10 babygpt-41 done: validation agrees with training; marketing has the draft of the announcement",
        "Tue 15:40 playground: 'samples are odd, probably the temperature'",
    ]
    return "\n".join(lines) + "\n"


def inputs(seed: int, folder: Path) -> None:
    """Write the probe's inputs: held-out documents, copies with other endings, and the validation documents."""
    launch = draw(seed)
    np.save(folder / "validation.npy", launch.validation)
    np.save(folder / "documents.npy", launch.probes)
    np.save(folder / "perturbed.npy", launch.perturbed)


def truth(seed: int) -> dict[str, Any]:
    """Return the expected values; only the judge reads them."""
    launch = draw(seed)
    return {
        "probes": launch.probes,
        "probe_floor_nats": launch.probe_floor_nats,
        "perturbed": launch.perturbed,
        "validation": launch.validation,
        "validation_floor_nats": launch.validation_floor_nats,
        "vocab_size": len(launch.table),
        "learning_rate_sum": float(learning_rates().sum()),
        "diagnosis": {"cause": ["model"], "tensor": ["visible"], "modes": ["both"], "action": ["repair-and-retrain"]},
    }


def learning_rates() -> NDArray[np.float64]:
    """Return the planned learning rate of each step."""
    step = np.arange(STEPS)
    warmup = np.minimum(1.0, (step + 1) / WARMUP_STEPS)
    return warmup * (FLOOR + (PEAK - FLOOR) * 0.5 * (1 + np.cos(np.pi * step / STEPS)))
