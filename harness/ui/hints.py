"""The next hint of a kata, and which hints were shown."""

from __future__ import annotations

from dataclasses import dataclass

from harness.check.history import remember, remembered
from harness.course.errors import UsageError
from harness.course.kata import Kata
from harness.course.scaffold import hints


@dataclass(frozen=True)
class Hint:
    """One of a kata's hints, as Markdown."""

    level: int
    of: int
    text: str


def next_hint(kata: Kata, level: int | None = None) -> Hint:
    """Return the hint of a level, else the lowest that was not shown yet, and remember that it was shown.

    Raises UsageError when there is no such hint. When all were shown, the last is returned.
    """
    texts, shown = hints(kata), _shown(kata)
    wanted = level or _lowest_left(shown, len(texts)) or len(texts)
    if not 1 <= wanted <= len(texts):
        raise UsageError(f"{kata.slug} has {len(texts)} hints, no hint {wanted}")
    if wanted not in shown:
        remember(kata, "hint", level=wanted)
    return Hint(wanted, len(texts), texts[wanted - 1])


def hint_to_come(kata: Kata) -> tuple[int, int] | None:
    """Return the level of the next hint and how many there are; None when all were shown."""
    total = len(hints(kata))
    level = _lowest_left(_shown(kata), total)
    return (level, total) if level else None


def _shown(kata: Kata) -> set[int]:
    return {entry.get("level", 0) for entry in remembered(kata.slug, "hint")}


def _lowest_left(shown: set[int], total: int) -> int | None:
    return next((level for level in range(1, total + 1) if level not in shown), None)
