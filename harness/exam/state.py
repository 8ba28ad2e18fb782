"""An exam: katas that the learner has not seen, on seeds of its own, against the clock. Its state is one append-only file.

`.runs/exams/<number>/exam.jsonl` holds one event per line; everything else is computed from it. The clock is wall time without the
pauses: it runs on when the notebook is closed, when an attempt is interrupted and when the machine is down.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from fixtures.recording.journal import runs_folder
from harness.course.errors import UsageError
from harness.course.kata import listed

FILE = "exam.jsonl"


@dataclass(frozen=True)
class Drawn:
    """One kata of an exam."""

    kata: str
    seed: int
    """Its public seed."""
    attempts: int
    """How many attempts it may take."""
    minutes: int
    track: str
    level: int
    seen: bool
    """The learner has met it before, on other seeds."""


@dataclass(frozen=True)
class Started:
    time: float
    minutes: int
    seed: int
    """Of the draw: the same seed draws the same katas and public seeds from the same unseen ones."""
    tracks: str
    """Those that were chosen; empty for all."""
    drawn: tuple[Drawn, ...]
    event: Literal["started"] = "started"


@dataclass(frozen=True)
class Paused:
    time: float
    event: Literal["paused"] = "paused"


@dataclass(frozen=True)
class Resumed:
    time: float
    event: Literal["resumed"] = "resumed"


@dataclass(frozen=True)
class Asked:
    """An attempt began."""

    time: float
    kata: str
    number: int
    confidence: float | None
    event: Literal["asked"] = "asked"


@dataclass(frozen=True)
class Told:
    """The verdict on one seed of an attempt was shown."""

    time: float
    kata: str
    number: int
    seed: int
    fixed: bool
    event: Literal["told"] = "told"


@dataclass(frozen=True)
class Judged:
    """An attempt ended."""

    time: float
    kata: str
    number: int
    run: int
    """Its folder, .runs/<kata>/<run>."""
    exit_code: int
    fixed: bool
    failed: tuple[str, ...]
    """The checks that failed on the decisive seed."""
    decided_by: int
    """That seed."""
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    """Fields of the diagnosis; both are empty where it was not judged; all are wrong where none was filled in."""
    filled: tuple[str, ...]
    """Those that were not left empty: an empty field can be right too."""
    event: Literal["judged"] = "judged"


@dataclass(frozen=True)
class Finished:
    time: float
    reason: Literal["asked", "time"]
    event: Literal["finished"] = "finished"


Event = Started | Paused | Resumed | Asked | Told | Judged | Finished
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


@dataclass(frozen=True)
class ExamAttempt:
    """One attempt in an exam."""

    kata: str
    number: int
    at_s: float
    """When it started, on the exam's clock."""
    confidence: float | None
    """How sure the learner was that the repair holds; None when not given."""
    told: tuple[Told, ...]
    judged: Judged | None
    """None when it was interrupted."""

    @property
    def counted(self) -> bool:
        """An attempt counts when it was judged, and when it was interrupted after a verdict was shown."""
        return self.judged.exit_code in (0, 1) if self.judged else bool(self.told)

    @property
    def fixed(self) -> bool:
        return bool(self.judged and self.judged.fixed)


@dataclass(frozen=True)
class Exam:
    """An exam and its events so far."""

    folder: Path
    started: Started
    later: tuple[Event, ...]

    @property
    def number(self) -> int:
        return int(self.folder.name)

    @property
    def limit_s(self) -> float:
        return self.started.minutes * 60.0

    @property
    def finished(self) -> Finished | None:
        return next((e for e in self.later if isinstance(e, Finished)), None)

    @property
    def paused(self) -> bool:
        turns = [e for e in self.later if isinstance(e, Paused | Resumed)]
        return bool(turns) and isinstance(turns[-1], Paused)

    def clock(self, time: float) -> float:
        """Return how long the exam had been running at a time, in seconds: without pauses, between 0 and its limit."""
        running, since = 0.0, self.started.time
        stopped = False
        for event in self.later:
            if event.time > time or isinstance(event, Finished):
                time = min(time, event.time)
                break
            if isinstance(event, Paused) and not stopped:
                running, stopped = running + event.time - since, True
            elif isinstance(event, Resumed) and stopped:
                since, stopped = event.time, False
        if not stopped:
            running += time - since
        return min(max(running, 0.0), self.limit_s)

    def pauses(self, time: float) -> list[tuple[float, float]]:
        """Return each pause: its start on the exam's clock and its length, in seconds."""
        found: list[tuple[float, float]] = []
        began: float | None = None
        for event in self.later:
            if isinstance(event, Paused) and began is None:
                began = event.time
            elif isinstance(event, Resumed | Finished) and began is not None:
                found.append((self.clock(began), event.time - began))
                began = None
        return found if began is None else [*found, (self.clock(began), time - began)]

    def over(self, time: float) -> bool:
        """Whether no attempt is possible any more."""
        return self.finished is not None or self.clock(time) >= self.limit_s

    def has(self, slug: str) -> bool:
        return slug in {drawn.kata for drawn in self.started.drawn}

    def of(self, slug: str) -> Drawn:
        """Return what was drawn of a kata; raises UsageError when it is not in this exam."""
        for drawn in self.started.drawn:
            if drawn.kata == slug:
                return drawn
        raise UsageError(f"`{slug}` is not in exam {self.number}; it has {listed(d.kata for d in self.started.drawn)}")

    def notebook(self, drawn: Drawn) -> Path:
        """Return the exam's copy of a kata's notebook; its scene lies beside it."""
        return self.notebooks / drawn.kata / f"{drawn.kata}.ipynb"

    @property
    def notebooks(self) -> Path:
        return self.folder / "notebooks"

    def attempts(self, slug: str) -> list[ExamAttempt]:
        """Return the attempts on a kata, in order."""
        mine = [e for e in self.later if isinstance(e, Asked | Told | Judged) and e.kata == slug]
        return [
            ExamAttempt(
                slug,
                asked.number,
                self.clock(asked.time),
                asked.confidence,
                tuple(e for e in mine if isinstance(e, Told) and e.number == asked.number),
                next((e for e in mine if isinstance(e, Judged) and e.number == asked.number), None),
            )
            for asked in mine
            if isinstance(asked, Asked)
        ]

    def used(self, drawn: Drawn) -> int:
        """Return how many attempts on a kata counted."""
        return sum(attempt.counted for attempt in self.attempts(drawn.kata))


def exams() -> list[Exam]:
    """Return every exam that was started, oldest first."""
    found = (read(path.parent) for path in sorted((runs_folder() / "exams").glob(f"[0-9]*/{FILE}")))
    return [exam for exam in found if exam]


def read(folder: Path) -> Exam | None:
    """Return the exam of a folder; None when it never started. A line that was cut off is skipped."""
    events = list(_events(folder))
    started = next((e for e in events if isinstance(e, Started)), None)
    return Exam(folder, started, tuple(e for e in events if e is not started)) if started else None


def _events(folder: Path) -> Iterator[Event]:
    for line in (folder / FILE).read_bytes().splitlines():
        try:
            yield EVENT.validate_json(line)
        except ValidationError:
            continue


def append(folder: Path, event: Event) -> None:
    """Append an event; it is on the disk when this returns."""
    with (folder / FILE).open("a+b") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        # What a crash cut off stays a line of its own.
        ended = file.read(1) in (b"", b"\n")
        file.write((b"" if ended else b"\n") + json.dumps(asdict(event)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def new_folder() -> Path:
    """Make the folder of the next exam, which begins with its first event."""
    parent: Path = runs_folder() / "exams"
    parent.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(p.name) for p in parent.iterdir() if p.name.isdigit()), default=0)
    folder = parent / f"{number:04d}"
    folder.mkdir()
    return folder


def open_exam(time: float) -> Exam | None:
    """Return the exam that runs or is paused at a time; None when there is none."""
    found = exams()
    return found[-1] if found and not found[-1].over(time) else None


def refuse_help(slug: str, what: str, time: float) -> None:
    """Raise UsageError when a kata is in an open exam. `what` names the help that must wait: "hints"."""
    exam = open_exam(time)
    if exam and exam.has(slug):
        raise UsageError(
            f"`{slug}` is in exam {exam.number}, which is open: {what} must wait until it ends. "
            f"Check its notebook: make exam-check KATA={slug}; see what is left: make exam-status; end it: make exam-finish"
        )
