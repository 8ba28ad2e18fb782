"""Which known masking fixes an attempt resembles: they fail the same checks and change the same cells."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from nbformat import NotebookNode

from harness.check.attempt import Attempt
from harness.course.fixes import fix_cells
from harness.course.kata import Fix, Kata, Proof, load_proof
from harness.course.notebook import sources

DIAGNOSIS_CELL = "diagnosis"
"""The form, which repairs nothing."""


def resembled(kata: Kata, done: Attempt) -> str:
    """Return what the masking fix that an attempt resembles most leaves unrepaired.

    Empty for the shipped notebook, for a run that raised an error and for one that was not judged. A text with one of the kata's
    spoilers is left out.
    """
    verdict = done.decisive.verdict
    if done.exit_code != 1 or verdict is None or not verdict.failed or done.submission.as_shipped:
        return ""
    proof, own = load_proof(kata), sources(done.submission.notebook)
    changed = {cell: own[cell] for cell in done.submission.changed}
    alike = resembling_masks(kata, proof, done.submission.shipped, {check.name for check in verdict.failed}, changed)
    return next((fix.why for fix in alike if fix.why and not _spoils(proof, fix.why)), "")


def resembling_masks(kata: Kata, proof: Proof, shipped: NotebookNode, failed: set[str], changed: Mapping[str, str]) -> list[Fix]:
    """Return the masking fixes that fail exactly `failed` and share a changed cell, the most similar edit first.

    `changed` holds the learner's version of each changed cell. What a fix fails is what its proof last showed.
    """
    before, proven = sources(shipped), _proven(kata)
    own = {cell: _new_words(before.get(cell, ""), source) for cell, source in changed.items() if cell != DIAGNOSIS_CELL}
    alike = []
    for fix in proof.fix:
        if fix.expect == "fail" and failed and set(proven.get(fix.name, ())) == failed:
            theirs = {cell: _new_words(before[cell], text) for cell, text in fix_cells(kata, proof, fix.name, shipped).items()}
            if shared := [_overlap(own[cell], theirs[cell]) for cell in own.keys() & theirs.keys()]:
                alike.append((sum(shared), fix))
    return [fix for _, fix in sorted(alike, key=lambda found: -found[0])]


def _proven(kata: Kata) -> dict[str, list[str]]:
    """The checks that each variant failed when the kata was last proven."""
    path = kata.meta / "proof.json"
    variants = json.loads(path.read_text(encoding="utf-8")).get("variants", {}) if path.exists() else {}
    return {name: found.get("failed", []) for name, found in variants.items()}


def _new_words(shipped: str, source: str) -> set[str]:
    old = set(shipped.splitlines())
    return {word for line in source.splitlines() if line not in old for word in re.findall(r"\w+", line)}


def _overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def _spoils(proof: Proof, why: str) -> bool:
    return any(word.lower() in why.lower() for word in proof.spoilers)
