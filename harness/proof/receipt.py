"""What `make prove` last showed for a kata, `.meta/proof.json`, and which katas to prove next."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.course.kata import Kata
from harness.course.keys import own_key, proof_key, torch_version

State = Literal["changed", "stale", "proven"]


def content_key(kata: Kata) -> str:
    """Return the hash of everything that a kata's proof rests on."""
    return proof_key(kata, "harness.proof.forgery")


def read(kata: Kata) -> dict[str, Any]:
    """Return the kata's proof.json, empty when it was never proven."""
    path = kata.meta / "proof.json"
    receipt: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return receipt


def state(kata: Kata) -> State:
    """Return whether a kata's own folder changed since it was proven, or only what the proof rests on elsewhere."""
    receipt = read(kata)
    if receipt.get("content") == content_key(kata):
        return "proven"
    return "stale" if receipt.get("own") == own_key(kata) else "changed"


@dataclass(frozen=True)
class Plan:
    """Which katas to prove now, and which not."""

    chosen: tuple[Kata, ...]
    stale: tuple[Kata, ...]
    """Left out, though something that their proofs rest on has changed."""
    proven: tuple[Kata, ...]
    """Left out, and nothing has changed."""


def due(katas: Sequence[Kata], minutes: float | None, jobs: int, day: str) -> Plan:
    """Choose what to prove: the katas whose own folder changed, then stale ones and the rest, as many as fit into `minutes`.

    Without `minutes`: the changed and the stale ones. The order of the others rotates with the day, so that each has its turn.
    """
    states = {kata.slug: state(kata) for kata in katas}
    changed = [kata for kata in katas if states[kata.slug] == "changed"]
    stale, proven = (_by_turns([k for k in katas if states[k.slug] == wanted], day) for wanted in ("stale", "proven"))
    chosen = stale if minutes is None else _fitting([*stale, *proven], minutes * 60 * jobs)
    left = [kata for kata in katas if kata not in changed and kata not in chosen]
    return Plan(
        (*changed, *chosen),
        tuple(kata for kata in left if states[kata.slug] == "stale"),
        tuple(kata for kata in left if states[kata.slug] == "proven"),
    )


def _by_turns(katas: Sequence[Kata], day: str) -> list[Kata]:
    return sorted(katas, key=lambda kata: hashlib.sha256(f"{day} {kata.slug}".encode()).hexdigest())


def _fitting(katas: Sequence[Kata], seconds: float) -> list[Kata]:
    chosen = []
    for kata in katas:
        runs, each = expected_runs(kata)
        seconds -= runs * each
        # NaN when no time is known.
        if not seconds >= 0:
            break
        chosen.append(kata)
    return chosen


def expected_runs(kata: Kata) -> tuple[int, float]:
    """Return how many runs a kata's proof had when it was last written down, and the mean time of one; NaN when it never was."""
    receipt = read(kata)
    runs = sum(len(variant["seeds"]) for variant in receipt.get("variants", {}).values())
    return runs, receipt.get("runs_s", math.nan) / max(runs, 1)


def write(kata: Kata, shown: dict[str, Any]) -> None:
    """Write proof.json, unless it already belongs to this content: timings would change it at every proof."""
    if state(kata) == "proven":
        return
    receipt = {"own": own_key(kata), "content": content_key(kata), "torch": torch_version(), **shown}
    (kata.meta / "proof.json").write_text(json.dumps(receipt, indent=1) + "\n", encoding="utf-8")
