"""Measure the claims about the incident generator: the loss curve alone does not tell the cause, the telemetry does.

A claim is (what is claimed, what was measured, the threshold, whether it holds).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scene
from numpy.typing import NDArray

from fixtures.faults.spikes import HELD_OUT
from fixtures.incidents.casebook import read_cases
from fixtures.incidents.scenarios import KINDS
from fixtures.incidents.windows import COLUMNS, Incident

Claim = tuple[str, float, float, bool]
Diagnose = Callable[[dict[str, Any]], dict[str, Any]]
CALM = 20
"""Steps before which nothing happens except decoys"""
VISIBLE_NATS = 0.15


def stored(inputs: Mapping[int, Path]) -> list[Incident]:
    """Return the hidden incidents of some seeds, {seed: folder}, with their true diagnosis."""
    found = []
    for seed, folder in inputs.items():
        answers = scene.truth(seed)["incidents"]
        found += [Incident(t, a, a["run_seed"], a["number"]) for t, a in zip(read_cases(folder), answers, strict=True)]
    return found


def rise(incident: Incident) -> float:
    """Return by how many nats the maximum of the public curve exceeds its calm median."""
    loss = incident.telemetry["public_loss"]
    return float(loss.max() - np.median(loss[: CALM // 5]))


def curve_features(incident: Incident) -> NDArray[np.float64]:
    """Describe the public loss curve by twelve features."""
    loss = incident.telemetry["public_loss"]
    base, spread = np.median(loss[: CALM // 5]), 0.08
    over = np.maximum(loss - base, 0)
    first = int(np.argmax(over > spread)) if (over > spread).any() else len(over) - 8
    after = np.pad(over, (0, 8), mode="edge")[first : first + 8]
    peak = max(over.max(), 1e-3)
    shape = after / peak
    return np.array(
        [np.log(peak), int(over.argmax()) - first, over[-1] / peak, over.sum() / peak, (over > spread).sum(), *shape[:6], loss.min() - base]
    )


def nearest_neighbours(incidents: Sequence[Incident], num_neighbours: int) -> float:
    """Return the accuracy of a vote among the nearest curves of other seeds."""
    features = np.stack([curve_features(i) for i in incidents])
    features = (features - features.mean(0)) / (features.std(0) + 1e-9)
    seeds = np.array([i.seed for i in incidents])
    labels = np.array([KINDS.index(i.truth["cause"]) for i in incidents])
    distance = np.linalg.norm(features[:, None] - features[None], axis=2)
    distance[seeds[:, None] == seeds[None]] = np.inf
    nearest = labels[np.argsort(distance, axis=1)[:, :num_neighbours]]
    votes = np.stack([np.bincount(row, minlength=len(KINDS)) for row in nearest])
    # The nearest of the tied labels wins.
    guess = np.array([next(label for label in row if vote[label] == vote.max()) for row, vote in zip(nearest, votes, strict=True)])
    return float((guess == labels).mean())


def accuracy(diagnose: Diagnose, incidents: Sequence[Incident], drop: str = "") -> float:
    """Return the share of incidents whose cause `diagnose` names without the column `drop`."""
    given = [diagnose({name: v for name, v in i.telemetry.items() if name != drop}).get("cause") for i in incidents]
    return float(np.mean([g == i.truth["cause"] for g, i in zip(given, incidents, strict=True)]))


def claims(incidents: Sequence[Incident], diagnose: Diagnose, discriminators: Mapping[str, float]) -> list[Claim]:
    """Measure all claims; `discriminators` says how much accuracy dropping a column may cost, any other column 0.02."""
    of = {kind: [i for i in incidents if i.truth["cause"] == kind] for kind in KINDS}
    rises = {kind: np.array([rise(i) for i in of[kind]]) for kind in KINDS}
    found = [_at_most(f"the public curve alone, {k} nearest of other seeds", nearest_neighbours(incidents, k), 0.60) for k in (1, 3, 5)]
    found.append(_at_least("the reference names the cause", accuracy(diagnose, incidents), 1.0))
    held_out = [i for i in incidents if i.truth["variant"] in HELD_OUT]
    found.append(_at_least("the same on variants that no public set shows", accuracy(diagnose, held_out), 1.0))
    seen = np.mean([rise(i) > VISIBLE_NATS for i in incidents])
    found.append(_at_least(f"incidents that rise by more than {VISIBLE_NATS} nats", float(seen), 0.85))
    medians = [float(np.median(rises[kind])) for kind in KINDS]
    found.append(_at_most("highest over lowest median rise of a cause", max(medians) / min(medians), 2.5))
    low = max(float(np.quantile(rises[kind], 0.2)) for kind in KINDS)
    high = min(float(np.quantile(rises[kind], 0.8)) for kind in KINDS)
    found.append(_at_least("nats that the middle three fifths of all causes share", high - low, 0.2))
    for column in COLUMNS:
        cost = 1.0 - accuracy(diagnose, incidents, drop=column)
        found.append(_at_most(f"cost of {column}", cost, discriminators.get(column, 0.02)))
    return found


def _at_most(claim: str, measured: float, threshold: float) -> Claim:
    return claim, measured, threshold, bool(measured <= threshold)


def _at_least(claim: str, measured: float, threshold: float) -> Claim:
    return claim, measured, threshold, bool(measured >= threshold)
