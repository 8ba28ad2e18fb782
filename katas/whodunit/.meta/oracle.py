"""What the judge measures of `diagnose`: its answers against what was the matter, and what comes of the actions that it names.

For two incidents of each kind the run goes back to before the named step and does what was named. It is held against the run that
went on from before the true step with the right action, on documents that neither has read.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fixtures.faults import spikes
from fixtures.incidents import scenarios, windows
from fixtures.incidents.fleet import Fleet
from fixtures.incidents.scenarios import KINDS
from fixtures.incidents.windows import World
from fixtures.recording.artifacts import BadArtifact, number, read_json

STEP_TOLERANCE = 1
ABSTAINED_BRIER = 0.25
REPLAYED_RUNS = 2
"""Healthy runs of which incidents are replayed; of each, one of each kind"""


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; BadArtifact when the run left no answers."""
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


def _same(field: str, answer: dict[str, Any], true: dict[str, Any]) -> bool:
    said = answer.get(field)
    if field == "first_bad_step":
        return abs(number(said) - true[field]) <= STEP_TOLERANCE
    # A rank or shard that came as 3.0 is 3; True is not 1.
    if isinstance(said, float) and said.is_integer():
        said = int(said)
    return type(said) is type(true[field]) and said == true[field]


def _by_kind(credit: NDArray[np.float64], true: NDArray[np.str_]) -> dict[str, float]:
    """Return the mean credit of the incidents of each cause that there is."""
    return {kind: float(credit[true == kind].mean()) for kind in KINDS if (true == kind).any()}


def _worst(found: dict[str, float]) -> int:
    return KINDS.index(min(found, key=lambda kind: found[kind]))


def _f1(kind: str, given: list[Any], true: NDArray[np.str_], credit: NDArray[np.float64]) -> float:
    """F1 of a kind, with what was abstained from as half a hit."""
    hits = float(credit[true == kind].sum())
    wrong = sum(g == kind and t != kind for g, t in zip(given, true, strict=True))
    return 2 * hits / (hits + wrong + int((true == kind).sum()))


def _brier(answer: dict[str, Any], right: bool, abstained: bool) -> float:
    """Squared distance of the confidence to what came of it; the worst possible for what is no confidence."""
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


@lru_cache(maxsize=64)
def _home(run_seed: int) -> World:
    torch.set_num_threads(1)
    return windows.world(run_seed)


def _consequences(asked: list[dict[str, Any]], answers: list[dict[str, Any]]) -> tuple[list[float], list[str]]:
    """Return, for each incident that is replayed, how much worse things are than after the right action, in nats, and its cause."""
    seeds = list(dict.fromkeys(sorted(t["run_seed"] for t in asked)))[:REPLAYED_RUNS]
    harm: list[float] = []
    for seed in seeds:
        chosen = [next(i for i, t in enumerate(asked) if t["run_seed"] == seed and t["cause"] == kind) for kind in KINDS]
        harm += _replayed(seed, [asked[i] for i in chosen], [answers[i] for i in chosen])
    return harm, list(KINDS) * len(seeds)


def _replayed(seed: int, true: list[dict[str, Any]], answers: list[dict[str, Any]]) -> list[float]:
    home = _home(seed)
    drawn = [windows.draw_course(home, t["number"], t["cause"], t["variant"]) for t in true]
    courses = [
        scenarios.treated(sick, sound, _action(a, t), home.names) for (sick, sound, _), a, t in zip(drawn, answers, true, strict=True)
    ]
    fleet, rows = windows.run(home, courses, measure=False)
    best = _best(seed, tuple((t["number"], t["cause"], t["variant"]) for t in true))
    return [
        max(0.0, *(mine - ideal for mine, ideal in zip(_outcome(home, fleet, i, rows[i], fault), best[i], strict=True)))
        for i, (_, _, fault) in enumerate(drawn)
    ]


def _action(answer: dict[str, Any], true: dict[str, Any]) -> dict[str, Any]:
    """What is done on an answer: nothing, when it abstains or names no step of the window."""
    step = number(answer.get("first_bad_step"))
    if answer.get("abstain") is True or not math.isfinite(step):
        return {"action": "continue", "first_bad_step": true["first_bad_step"], "place": None}
    return {"action": answer.get("action"), "first_bad_step": np.clip(step, 0, 1e6), "place": answer.get("place")}


@lru_cache(maxsize=64)
def _best(seed: int, chosen: tuple[tuple[int, str, str], ...]) -> list[list[float]]:
    """The outcomes of the right actions."""
    home = _home(seed)
    drawn = [windows.draw_course(home, *which) for which in chosen]
    courses = []
    for sick, sound, fault in drawn:
        true = scenarios.truth_of(fault, home.names)
        courses.append(scenarios.treated(sick, sound, true, home.names))
    fleet, rows = windows.run(home, courses, measure=False)
    return [_outcome(home, fleet, i, rows[i], fault) for i, (_, _, fault) in enumerate(drawn)]


def _outcome(home: World, fleet: Fleet, i: int, found: dict[str, Any], fault: spikes.Fault) -> list[float]:
    """Measure a run's end, less is better: main documents, the way there, ranks that differ, a source that came in, an imprint."""
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
        # Whoever trained on such rows knows them; whoever did not has no reason to.
        outcome.append(-_loss(fleet, i, torch.from_numpy(rows).long()))
    return outcome


def _loss(fleet: Fleet, i: int, tokens_DT: torch.Tensor) -> float:
    losses = fleet.fork([i]).losses_on(tokens_DT[None, None])
    return float(torch.nan_to_num(losses, nan=20.0).clamp(max=20.0).mean())
