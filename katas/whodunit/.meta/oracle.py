"""Measure the answers of `diagnose` against the truth, and the consequences of the actions that it names.

For two incidents of each cause the run goes back to before the named step and takes the named action. It is compared with the run that
took the right action from before the true step, on documents that neither has read.
"""

from __future__ import annotations

import hashlib
import math
import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fixtures.faults import spikes
from fixtures.faults.course import Course, Fault
from fixtures.incidents import scenarios, windows
from fixtures.incidents.fleet import Fleet
from fixtures.incidents.scenarios import KINDS
from fixtures.incidents.windows import World
from fixtures.recording.artifacts import BadArtifact, number, read_json

Answer = dict[str, Any]

STEP_TOLERANCE = 1
ABSTAINED_BRIER = 0.25
REPLAYED_RUNS = 2
"""Healthy runs whose incidents are replayed, one of each cause per run"""


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; raises BadArtifact when the run left no answers."""
    asked = truth["incidents"]
    answers, raised = _probed(evidence, len(asked))
    abstained = np.array([a.get("abstain") is True for a in answers])
    given = [None if out else a.get("cause") for a, out in zip(answers, abstained, strict=True)]
    true = np.array([t["cause"] for t in asked])
    right = np.array([g == t for g, t in zip(given, true, strict=True)])
    credit = np.where(abstained, 0.5, right)
    held_out = np.array([t["held_out"] for t in asked])
    steps, places, actions = (
        np.where(abstained, 0.5, [_same(field, a, t) for a, t in zip(answers, asked, strict=True)]) for field in FIELDS
    )
    somewhere = np.array([t["place"] is not None for t in asked])
    recall, step_of = _by_kind(credit, true), _by_kind(steps, true)
    place_of = _by_kind(places[somewhere], true[somewhere])
    harm, harmed = _consequences(asked, answers)
    return {
        "macro_f1": float(np.mean([_f1(kind, given, true, credit) for kind in KINDS])),
        "worst_recall": min(recall.values()),
        "worst_kind": _worst(recall),
        "known_variants": float(credit[~held_out].mean()),
        "new_variants": float(credit[held_out].mean()),
        "first_step": float(steps.mean()),
        "worst_first_step": min(step_of.values()),
        "worst_first_step_kind": _worst(step_of),
        "place": float(places[somewhere].mean()),
        "worst_place": min(place_of.values()),
        "worst_place_kind": _worst(place_of),
        "action": float(actions.mean()),
        "brier": float(np.mean([_brier(a, r, out) for a, r, out in zip(answers, right, abstained, strict=True)])),
        "abstained": int(abstained.sum()),
        "harm": harm,
        "harm_kinds": [KINDS.index(kind) for kind in harmed],
        "worst_harm": max(harm),
        "asked": len(asked),
        "raised": raised,
    }


FIELDS = ("first_bad_step", "place", "action")


def _same(field: str, answer: dict[str, Any], true: Answer) -> bool:
    said = answer.get(field)
    if field == "first_bad_step":
        return abs(number(said) - true[field]) <= STEP_TOLERANCE
    # 3.0 is rank 3; True is not rank 1.
    if isinstance(said, float) and said.is_integer():
        said = int(said)
    return type(said) is type(true[field]) and said == true[field]


def _by_kind(credit: NDArray[np.float64], true: NDArray[np.str_]) -> dict[str, float]:
    """Return the mean credit for each cause that occurs."""
    return {kind: float(credit[true == kind].mean()) for kind in KINDS if (true == kind).any()}


def _worst(found: dict[str, float]) -> int:
    return KINDS.index(min(found, key=lambda kind: found[kind]))


def _f1(kind: str, given: list[Any], true: NDArray[np.str_], credit: NDArray[np.float64]) -> float:
    """Return the F1 of a cause; an abstention counts as half a hit."""
    hits = float(credit[true == kind].sum())
    wrong = sum(g == kind and t != kind for g, t in zip(given, true, strict=True))
    return 2 * hits / (hits + wrong + int((true == kind).sum()))


def _brier(answer: dict[str, Any], right: bool, abstained: bool) -> float:
    """Return the squared error of the confidence; 1 when it is not between 0 and 1."""
    confidence = number(answer.get("confidence"))
    if abstained:
        return ABSTAINED_BRIER
    return float((confidence - right) ** 2) if 0 <= confidence <= 1 else 1.0


def _probed(evidence: Path, count: int) -> tuple[list[dict[str, Any]], list[Any]]:
    found = read_json(evidence, "probe")
    if not isinstance(found, dict) or not isinstance(found.get("answers"), list):
        raise BadArtifact("probe.json holds no answers")
    answers = found["answers"]
    if len(answers) != count:
        raise BadArtifact(f"probe.json has {len(answers)} answers, expected {count}")
    raised = found.get("raised")
    return [a if isinstance(a, dict) else {} for a in answers], raised if isinstance(raised, list) else []


@lru_cache(maxsize=16)
def _home(run_seed: int) -> World:
    torch.set_num_threads(1)
    return windows.world(run_seed)


@lru_cache(maxsize=256)
def _drawn(run_seed: int, number: int, kind: str, variant: str) -> tuple[Course, Course, Fault]:
    return windows.draw_course(_home(run_seed), number, kind, variant)


def _consequences(asked: list[Answer], answers: list[Answer]) -> tuple[list[float], list[str]]:
    """Return, for each replayed incident, by how many nats it ends worse than after the right action, and its cause."""
    seeds = list(dict.fromkeys(sorted(t["run_seed"] for t in asked)))[:REPLAYED_RUNS]
    harm: list[float] = []
    for seed in seeds:
        chosen = [next(i for i, t in enumerate(asked) if t["run_seed"] == seed and t["cause"] == kind) for kind in KINDS]
        pairs = [(asked[i], answers[i]) for i in chosen]
        outcomes = _outcomes(seed, [(true, done) for true, answer in pairs for done in (true, _action(answer, true))])
        for best, found in zip(outcomes[::2], outcomes[1::2], strict=True):
            harm.append(max(0.0, *(mine - ideal for mine, ideal in zip(found, best, strict=True))))
    return harm, list(KINDS) * len(seeds)


def _action(answer: Answer, true: Answer) -> Answer:
    """Return what is done on an answer: nothing, when it abstains or its step is not a number."""
    step = number(answer.get("first_bad_step"))
    if answer.get("abstain") is True or not math.isfinite(step):
        return {"action": "continue", "first_bad_step": true["first_bad_step"], "place": None}
    return {"action": answer.get("action"), "first_bad_step": np.clip(step, 0, 1e6), "place": answer.get("place")}


KNOWN: dict[bytes, list[float]] = {}
"""Outcomes by course. A course that was run before is not run again: right answers, forged reports and many masks share theirs."""


def _outcomes(seed: int, replays: list[tuple[Answer, Answer]]) -> list[list[float]]:
    """Return the outcome of each (incident, what is done)."""
    home = _home(seed)
    drawn = [_drawn(seed, true["number"], true["cause"], true["variant"]) for true, _ in replays]
    courses = [scenarios.treated(sick, sound, done, home.names) for (sick, sound, _), (_, done) in zip(drawn, replays, strict=True)]
    keys = [_key(seed, course, fault) for course, (_, _, fault) in zip(courses, drawn, strict=True)]
    new = {key: i for i, key in enumerate(keys) if key not in KNOWN}
    if new:
        fleet, rows = windows.run(home, [courses[i] for i in new.values()], measure=False)
        for n, (key, i) in enumerate(new.items()):
            KNOWN[key] = _outcome(home, fleet, n, rows[n], drawn[i][2])
    return [KNOWN[key] for key in keys]


def _key(seed: int, course: Course, fault: Fault) -> bytes:
    return hashlib.sha256(pickle.dumps((seed, fault, course))).digest()


def _outcome(home: World, fleet: Fleet, i: int, found: dict[str, Any], fault: Fault) -> list[float]:
    """Return the measures of a replay, less is better: main documents, validation, given rows, rank difference, added sources, imprint."""
    known = torch.cat([home.hidden[name] for name in home.names[:2]])
    after = np.nan_to_num(found["val_loss"][fault.onset :], nan=20.0)
    apart = float((fleet.weights_IRP[i, 0] - fleet.weights_IRP[i, 1]).abs().max())
    given = np.clip(np.nan_to_num(found["row_loss"][fault.onset :], nan=20.0), 0, 20)
    outcome = [_loss(fleet, i, known), float(after.mean()), float(given.mean()), min(1.0, 1e3 * apart)]
    if fault.kind == "benign":
        outcome += [_loss(fleet, i, home.hidden[name]) for name in home.names[2:]]
    if fault.kind == "data":
        spoil, _ = spikes.TEXTS[fault.variant]
        rows = spoil(known.numpy().astype(np.uint8), home.near, np.random.default_rng(home.seed))
        # Only a model that was trained on such rows knows them.
        outcome.append(-_loss(fleet, i, torch.from_numpy(rows).long()))
    return outcome


def _loss(fleet: Fleet, i: int, tokens_DT: torch.Tensor) -> float:
    losses = fleet.fork([i]).losses_on(tokens_DT[None, None])
    return float(torch.nan_to_num(losses, nan=20.0).clamp(max=20.0).mean())
