"""An exam as a page: the score card for the learner; for the reviewer also every attempt, and what to ask about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness.course.kata import Kata, load_proof
from harness.exam.questions import Prompt, prompts
from harness.exam.scorecard import DEFINITIONS, KataScore, Replayed, ScoreCard, clock
from harness.ui import lab_notebook
from harness.ui.lab_notebook import LabEntry
from harness.ui.plot import Plot
from harness.ui.webpage import render

ROW, LEFT, RIGHT = 34, 130, 40
MARK = 20
"""Width of a mark in pixels."""


@dataclass(frozen=True)
class Mark:
    """One attempt on the line of its kata."""

    x: float
    label: str
    shape: str
    """held, failed or unjudged: drawn as different shapes."""


@dataclass(frozen=True)
class Line:
    kata: str
    y: float
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Timeline:
    lines: tuple[Line, ...]
    pauses: tuple[tuple[float, str], ...]
    ticks: tuple[tuple[float, str], ...]
    end: float
    height: float
    summary: str


@dataclass(frozen=True)
class Step:
    """One attempt, as the reviewer sees it."""

    number: int
    heading: str
    seeds: list[tuple[int, bool]]
    """Each judged seed, and whether all checks passed there."""
    confidence: str
    hypotheses: tuple[str, ...]
    hypothesis_is_new: bool
    diagnosis: list[tuple[str, str, str]]
    """Field, what was given, right or wrong."""
    looked: tuple[str, ...]
    """Cells added since the attempt before."""
    edits: list[tuple[str, list[str]]]
    evidence: list[tuple[str, str]]
    plot: Plot | None
    decided_by: int | None
    lost: bool
    """Its lab notebook entry is missing."""


@dataclass(frozen=True)
class Section:
    """One kata, as the reviewer sees it."""

    score: KataScore
    goal: str
    curve: str
    prompts: list[Prompt]
    steps: list[Step]


def write_card(card: ScoreCard) -> Path:
    """Write the score card of an exam."""
    return _write(card, "card.html", [])


def write_review(card: ScoreCard, katas: Mapping[str, Kata]) -> Path:
    """Write the reviewer's page of an exam. It gives the causes away and must not be seen before the exam ends."""
    return _write(card, "review.html", [_section(card, katas[kata.slug], kata) for kata in card.katas])


def _write(card: ScoreCard, name: str, sections: list[Section]) -> Path:
    page = render(
        "exam.html.j2",
        card=card,
        sections=sections,
        timeline=_timeline(card),
        definitions=DEFINITIONS,
        clock=clock,
        started=f"{datetime.fromtimestamp(card.exam.started.time):%Y-%m-%d %H:%M}",
        width=Plot.width,
        height=Plot.height,
        margin=Plot.margin,
        left=LEFT,
        right=RIGHT,
    )
    path = card.exam.folder / name
    path.write_text(page, encoding="utf-8", errors="replace")  # what a learner wrote may hold half a character
    return path


def _section(card: ScoreCard, kata: Kata, score: KataScore) -> Section:
    proof = load_proof(kata)
    before: list[LabEntry | None] = [None]
    for replayed in score.replay:
        before.append(replayed.entry or before[-1])
    steps = [_step(kata, replayed, earlier) for replayed, earlier in zip(score.replay, before, strict=False)]
    return Section(score, proof.goal, kata.toml.curve, prompts(card.exam, kata, proof, score), steps)


def _step(kata: Kata, replayed: Replayed, before: LabEntry | None) -> Step:
    attempt, entry, judged = replayed.attempt, replayed.entry, replayed.judged
    return Step(
        attempt.number,
        f"Attempt {attempt.number} at {clock(attempt.at_s)}: {outcome(replayed)}",
        [(told.seed, told.fixed) for told in attempt.told],
        "not given" if attempt.confidence is None else f"{attempt.confidence:g}",
        entry.hypotheses if entry else (),
        bool(entry and entry.hypotheses and entry.hypotheses != (before.hypotheses if before else ())),
        [
            (name, value, "right" if name in entry.right else "wrong" if name in entry.wrong else "not judged")
            for name, value in entry.diagnosis.items()
        ]
        if entry
        else [],
        tuple(cell for cell in entry.looked if not before or cell not in before.looked) if entry else (),
        lab_notebook.edits(kata, entry, before) if entry else [],
        _evidence(entry) if entry else [],
        entry.plot if entry else None,
        judged.decided_by if judged else None,
        judged is not None and entry is None,
    )


def _evidence(entry: LabEntry) -> list[tuple[str, str]]:
    if entry.fixed:
        return []
    claims = entry.failed or ("The notebook runs to its end.",)
    return list(zip(claims, entry.evidence, strict=False))


def outcome(replayed: Replayed) -> str:
    """Return the result of an attempt in a few words."""
    judged, told = replayed.judged, replayed.attempt.told
    if judged is None:
        return "interrupted " + ("after a verdict was shown: it counts" if told else "before a verdict was shown: it does not count")
    if judged.fixed:
        return "holds on all seeds"
    if not replayed.attempt.counted:
        return "could not be judged: it does not count"
    where = f"passes on the public seed, fails on held-out seed {judged.decided_by}" if len(told) > 1 else "fails on the public seed"
    if judged.failed:
        return f"{where} ({_claims(len(judged.failed))})"
    ran = replayed.entry and set(replayed.entry.outcomes) == {"completed"}
    return "all checks pass, the diagnosis is not right" if ran else f"{where} (it did not run to its end)"


def _claims(number: int) -> str:
    return f"{number} claim does not hold" if number == 1 else f"{number} claims do not hold"


def _timeline(card: ScoreCard) -> Timeline:
    # An exam that ended early fills the picture too.
    minutes = min(card.exam.started.minutes, max(5, math.ceil(card.used_s / 60))) if card.exam.finished else card.exam.started.minutes
    scale = (Plot.width - LEFT - RIGHT) / (60 * minutes)

    def x(seconds: float) -> float:
        return round(LEFT + seconds * scale, 1)

    lines = tuple(Line(kata.slug, ROW * (row + 1), _marks(kata, x)) for row, kata in enumerate(card.katas))
    pace = next(pace for pace in (1, 2, 5, 10, 15, 30, 60, 120, 240) if minutes / pace <= 7)
    return Timeline(
        lines,
        tuple((x(at), f"pause of {clock(length)}") for at, length in card.pauses),
        tuple((x(60 * minute), str(minute)) for minute in range(0, minutes + 1, pace)),
        x(card.used_s),
        ROW * (len(lines) + 1) + 34,
        "; ".join(
            f"{kata.slug}: "
            + (", ".join(f"attempt {r.attempt.number} at {clock(r.attempt.at_s)} {outcome(r)}" for r in kata.replay) or "no attempt")
            for kata in card.katas
        ),
    )


def _marks(kata: KataScore, x: Callable[[float], float]) -> tuple[Mark, ...]:
    marks: list[Mark] = []
    for replayed in kata.replay:
        place = x(replayed.attempt.at_s)
        marks.append(Mark(max(place, marks[-1].x + MARK) if marks else place, str(replayed.attempt.number), _shape(replayed)))
    return tuple(marks)


def _shape(replayed: Replayed) -> str:
    if replayed.attempt.fixed:
        return "held"
    return "failed" if replayed.attempt.counted else "unjudged"
