"""The launch of `floorbreak`: a corpus whose source is measured, and last week's run on it.

What goes wrong is in the notebook's model, so the world is a healthy one. A seed redraws the languages.
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
LAST_WEEK_EXCESS = 0.10  # nats above the source: what the model without the patch reaches, over 20 seeds


@dataclass(frozen=True)
class Launch:
    table: Vocabulary
    languages: dict[str, Language]
    train: NDArray[np.uint8]
    """[step, row, token]"""
    validation: NDArray[np.uint8]
    """[D, T], public"""
    validation_floor_nats: NDArray[np.float64]
    """[D]: their exact negative log-likelihood under their source"""
    probes: NDArray[np.uint8]
    """[D, T]: documents that nobody has seen"""
    probe_floor_nats: NDArray[np.float64]
    """[D], as above"""
    perturbed: NDArray[np.uint8]
    """[P, B, T]: the first documents; in entry p, what follows position p is another document's"""


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
    """Draw documents of all sources, shuffled: tokens [D, T] and exact nats per predicted token [D]."""
    topics = rng.permutation([t for t, share in SHARES.items() for _ in range(round(share * count))])
    tokens = np.empty((len(topics), DOCUMENT_TOKENS), dtype=np.uint8)
    nats = np.empty(len(topics))
    for topic, language in languages.items():
        where = topics == topic
        tokens[where] = language.sample(int(where.sum()), DOCUMENT_TOKENS, rng)
        nats[where] = language.nll_nats(tokens[where])
    return tokens, nats


def _with_other_endings(own_BT: NDArray[np.uint8], others_BT: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return, for each position at which an input can be cut, the documents with another's tokens after it, [T-2, B, T]."""
    T = own_BT.shape[1]
    after_PT = np.arange(T) > np.arange(T - 2)[:, None]
    return np.where(after_PT[:, None], others_BT, own_BT)


def build(seed: int, world: Path) -> None:
    """Write the corpus, what the data team measured of it, the schedule, and last week's curve."""
    launch = draw(seed)
    launch.table.save(world / "vocabulary.json")
    np.save(world / "train.npy", launch.train)
    np.save(world / "validation.npy", launch.validation)
    card = {
        "documents": STEPS * ROWS,
        "validation_documents": NUM_VALIDATION,
        "validation_nll_nats_per_token_under_the_source": round(float(launch.validation_floor_nats.mean()), 4),
        "measured": "exact: the generator that wrote the documents scored them",
    }
    (world / "source_card.json").write_text(json.dumps(card, indent=1) + "\n")
    schedule = {"peak": PEAK, "floor": FLOOR, "warmup_steps": WARMUP_STEPS, "steps": STEPS}
    (world / "schedule.json").write_text(json.dumps(schedule, indent=1) + "\n")
    (world / "run.log").write_text(_log(seed, launch))


def _log(seed: int, launch: Launch) -> str:
    rng = np.random.default_rng([seed, 3])
    last_week = float(launch.validation_floor_nats.mean()) + LAST_WEEK_EXCESS
    lines = [
        f"Mon 18:02 babygpt-40 done: val_loss {last_week:.2f}",
        "Tue 10:15 change 4502: attention with a learned sink (one key and value of its own), as in the paper; reviewed, tests green",
        "Tue 10:40 change 4503: log softmax in float32, 'expect slightly better numerics'",
        f"Tue 11:20 data: {int(rng.integers(3, 9))} near-duplicate documents removed from the corpus",
        "Tue 14:00 babygpt-41 launched: same data, same schedule, same seed as babygpt-40",
        "Tue 15:10 babygpt-41 done: validation agrees with training; draft of the announcement is with marketing",
        "Tue 15:40 playground: 'samples are odd, probably the temperature'",
    ]
    return "\n".join(lines) + "\n"


def inputs(seed: int, folder: Path) -> None:
    """Write what the judge asks the model: unseen documents, copies with other endings, and the validation documents."""
    launch = draw(seed)
    np.save(folder / "validation.npy", launch.validation)
    np.save(folder / "documents.npy", launch.probes)
    np.save(folder / "perturbed.npy", launch.perturbed)


def truth(seed: int) -> dict[str, Any]:
    """What only the judge knows."""
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
    """The planned learning rate of each step: warmup, then cosine to the floor."""
    step = np.arange(STEPS)
    warmup = np.minimum(1.0, (step + 1) / WARMUP_STEPS)
    return warmup * (FLOOR + (PEAK - FLOOR) * 0.5 * (1 + np.cos(np.pi * step / STEPS)))
