"""The result of an exam: separate figures, not added up to a grade."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from fixtures.recording.journal import runs_folder
from harness.course.kata import Kata
from harness.exam.state import Drawn, Exam, ExamAttempt, Judged
from harness.ui import lab_notebook

DEFINITIONS = {
    "times": "Minutes and seconds on the exam's clock, which starts with the exam and stops during pauses.",
    "in brackets": "Time since the learner turned to the kata: since the last attempt on another kata, or since the exam's start. Shown where it differs.",
    "first evidence": "The first attempt with a field of the diagnosis filled in and right.",
    "first hypothesis": "The first attempt whose notebook held a hypothesis.",
    "fixed": "The first attempt that passed on the exam's public seed and on the held-out seeds.",
    "diagnosed": "Fields of the diagnosis that were right when it was last judged.",
    "attempts": "Attempts that were judged or interrupted after a verdict was shown, and how many were allowed.",
    "calibration": "Brier score: the mean of (confidence - outcome)², outcome 1 if the repair held on all seeds, else 0. 0 is best; a constant 0.5 gives 0.25. Attempts after the first that holds do not count.",
}


@dataclass(frozen=True)
class Replayed:
    """One attempt, with its lab notebook entry where there is one."""

    attempt: ExamAttempt
    entry: lab_notebook.LabEntry | None

    @property
    def judged(self) -> Judged | None:
        return self.attempt.judged


@dataclass(frozen=True)
class KataScore:
    """The result of one kata. Times are on the exam's clock, in seconds; None where it did not happen."""

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
        return sum(r.attempt.counted for r in self.replay)

    @property
    def first_evidence_s(self) -> float | None:
        return next((r.attempt.at_s for r in self.replay if r.judged and set(r.judged.right) & set(r.judged.filled)), None)

    @property
    def first_hypothesis_s(self) -> float | None:
        return next((r.attempt.at_s for r in self.replay if r.entry and r.entry.hypotheses), None)

    @property
    def fixed_s(self) -> float | None:
        return next((r.attempt.at_s for r in self.replay if r.attempt.fixed), None)

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
        """Return the claims about judged attempts, up to the one that fixed the kata."""
        attempts = [
            r.attempt
            for kata in self.katas
            for r in kata.replay
            if r.judged and r.attempt.counted and (kata.fixed_s is None or r.attempt.at_s <= kata.fixed_s)
        ]
        return [Claim(c.kata, c.number, c.confidence, c.fixed) for c in attempts if c.confidence is not None]

    @property
    def brier(self) -> float | None:
        """Return the mean squared distance of claims to outcomes; None without claims."""
        errors = [(claim.confidence - claim.held) ** 2 for claim in self.claims]
        return statistics.fmean(errors) if errors else None


def score(exam: Exam, katas: Mapping[str, Kata], time: float) -> ScoreCard:
    """Return the score card of an exam as it stands at a time."""
    attempts = {drawn.kata: exam.attempts(drawn.kata) for drawn in exam.started.drawn}
    everything = [attempt for found in attempts.values() for attempt in found]
    return ScoreCard(
        exam,
        exam.clock(time),
        tuple(exam.pauses(time)),
        tuple(
            KataScore(
                drawn,
                katas[drawn.kata].toml.title,
                tuple(Replayed(attempt, _entry(attempt)) for attempt in attempts[drawn.kata]),
                _turned(attempts[drawn.kata], everything),
            )
            for drawn in exam.started.drawn
        ),
    )


def _turned(own: list[ExamAttempt], everything: Iterable[ExamAttempt]) -> float | None:
    if not own:
        return None
    return max((c.at_s for c in everything if c.kata != own[0].kata and c.at_s < own[0].at_s), default=0.0)


def _entry(attempt: ExamAttempt) -> lab_notebook.LabEntry | None:
    return lab_notebook.read(runs_folder() / attempt.kata / f"{attempt.judged.run:04d}") if attempt.judged else None


def clock(seconds: float | None, turned_s: float | None = None) -> str:
    """Return minutes and seconds, and in brackets those since the learner turned to it; a dash for None."""
    if seconds is None:
        return "–"
    own = "" if not turned_s else f" ({_minutes(seconds - turned_s)})"
    return _minutes(seconds) + own


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
