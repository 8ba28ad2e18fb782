"""What an exam came to, in figures that mean something each; they are not added up to a grade."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from fixtures.recording.journal import runs_folder
from harness.course.kata import Kata
from harness.exam.state import Check, Drawn, Exam, Judged
from harness.ui import lab_notebook

DEFINITIONS = {
    "times": "Minutes and seconds on the exam's clock: since its start, pauses left out.",
    "in brackets": "Where it differs: since turning to the kata, which is the exam's start or the last check of another kata before the first of this one.",
    "first evidence": "The first check that came with a field of the diagnosis filled in, and rightly.",
    "first hypothesis": "The first check whose notebook had a hypothesis written down.",
    "fixed": "The first check that passed on the exam's night and on two that nobody had seen.",
    "diagnosed": "Fields of the diagnosis that were right when it was last judged.",
    "checks": "Those that were judged, and those that were broken off after a verdict was shown, of those that there were.",
    "calibration": "Brier score: the mean of (confidence - outcome)², outcome 1 if the repair held on all nights, else 0. 0 is best; always saying 0.5 gives 0.25. Up to the first check of a kata that holds.",
}


@dataclass(frozen=True)
class Replayed:
    """One check, with its page of the lab book where there is one."""

    check: Check
    page: lab_notebook.LabEntry | None

    @property
    def judged(self) -> Judged | None:
        return self.check.judged


@dataclass(frozen=True)
class KataScore:
    """What one kata came to. Times are on the exam's clock, in seconds; None where it never was so."""

    drawn: Drawn
    title: str
    replay: tuple[Replayed, ...]
    turned_s: float | None
    """When the learner turned to it."""

    @property
    def slug(self) -> str:
        return self.drawn.kata

    @property
    def used(self) -> int:
        return sum(r.check.counted for r in self.replay)

    @property
    def first_evidence_s(self) -> float | None:
        return next((r.check.at_s for r in self.replay if r.judged and set(r.judged.right) & set(r.judged.filled)), None)

    @property
    def first_hypothesis_s(self) -> float | None:
        return next((r.check.at_s for r in self.replay if r.page and r.page.hypotheses), None)

    @property
    def fixed_s(self) -> float | None:
        return next((r.check.at_s for r in self.replay if r.check.fixed), None)

    @property
    def fixed(self) -> bool:
        return self.fixed_s is not None

    @cached_property
    def diagnosis(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return its right and its wrong fields, as last judged."""
        return next(
            ((r.judged.right, r.judged.wrong) for r in reversed(self.replay) if r.judged and (r.judged.right or r.judged.wrong)), ((), ())
        )


@dataclass(frozen=True)
class Claim:
    """How sure a learner was, and whether the repair held."""

    kata: str
    number: int
    confidence: float
    held: bool


@dataclass(frozen=True)
class ScoreCard:
    exam: Exam
    used_s: float
    pauses: tuple[tuple[float, float], ...]
    katas: tuple[KataScore, ...]

    @property
    def claims(self) -> list[Claim]:
        """Return what was claimed of checks that were judged; a kata that is fixed leaves nothing to be unsure of."""
        checks = [
            r.check
            for kata in self.katas
            for r in kata.replay
            if r.judged and r.check.counted and (kata.fixed_s is None or r.check.at_s <= kata.fixed_s)
        ]
        return [Claim(c.kata, c.number, c.confidence, c.fixed) for c in checks if c.confidence is not None]

    @property
    def brier(self) -> float | None:
        """Return the mean squared distance of claims to outcomes; None where nothing was claimed."""
        errors = [(claim.confidence - claim.held) ** 2 for claim in self.claims]
        return statistics.fmean(errors) if errors else None


def score(exam: Exam, katas: Mapping[str, Kata], time: float) -> ScoreCard:
    """Work out what an exam came to, as it stands at a time."""
    checks = {drawn.kata: exam.checks(drawn.kata) for drawn in exam.started.drawn}
    everything = [check for found in checks.values() for check in found]
    return ScoreCard(
        exam,
        exam.clock(time),
        tuple(exam.pauses(time)),
        tuple(
            KataScore(
                drawn,
                katas[drawn.kata].toml.title,
                tuple(Replayed(check, _page(check)) for check in checks[drawn.kata]),
                _turned(checks[drawn.kata], everything),
            )
            for drawn in exam.started.drawn
        ),
    )


def _turned(own: list[Check], everything: Iterable[Check]) -> float | None:
    if not own:
        return None
    return max((c.at_s for c in everything if c.kata != own[0].kata and c.at_s < own[0].at_s), default=0.0)


def _page(check: Check) -> lab_notebook.LabEntry | None:
    return lab_notebook.read(runs_folder() / check.kata / f"{check.judged.run:04d}") if check.judged else None


def clock(seconds: float | None, turned_s: float | None = None) -> str:
    """Return minutes and seconds, and in brackets those since the learner turned to it; a dash for None."""
    if seconds is None:
        return "–"
    own = "" if not turned_s else f" ({_minutes(seconds - turned_s)})"
    return _minutes(seconds) + own


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
