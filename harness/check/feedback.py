"""Why a repair that fails just so hides a symptom: a learner's failed checks, held against what known masking fixes fail."""

from __future__ import annotations

import json

from harness.check.attempt import Attempt
from harness.course.fixes import read_fix
from harness.course.kata import Fix, Kata, Proof, load_proof

AT_MOST = 2


def whys(kata: Kata, done: Attempt) -> list[str]:
    """Return what is known of repairs that fail the same checks and change most nearly the same cells; empty when nothing is.

    A text that holds a word which would give the cause away (proof.toml, spoilers) is not told.
    """
    verdict = done.decisive.verdict
    if done.submission.as_shipped or verdict is None or done.fixed:
        return []
    failed, changed = {check.name for check in verdict.failed}, set(done.submission.changed)
    proof = load_proof(kata)
    alike = {
        fix.why: _likeness(kata, fix, changed) for fix in _masks_failing(kata, proof, failed) if fix.why and not _tells(proof, fix.why)
    }
    nearest = max(alike.values(), default=0.0)
    return [why for why, likeness in alike.items() if likeness == nearest > 0][:AT_MOST]


def _tells(proof: Proof, why: str) -> bool:
    return any(word.lower() in why.lower() for word in proof.spoilers)


def _masks_failing(kata: Kata, proof: Proof, failed: set[str]) -> list[Fix]:
    path = kata.meta / "proof.json"
    proven = json.loads(path.read_text(encoding="utf-8")).get("variants", {}) if path.exists() else {}
    return [fix for fix in proof.fix if fix.expect == "fail" and set(proven.get(fix.name, {}).get("failed", ())) == failed]


def _likeness(kata: Kata, fix: Fix, changed: set[str]) -> float:
    """How much of what both changed is the same cells; 0 to 1."""
    cells = set(read_fix(kata, fix.name))
    return len(cells & changed) / len(cells | changed)
