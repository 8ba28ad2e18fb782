"""Progress: what a learner has solved, what to try next, and a debrief of the way through one kata."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.check.history import Entry, remember, remembered
from harness.course.kata import Kata
from harness.course.scaffold import hints, postmortem
from harness.ui import lab_notebook
from harness.ui.lab_notebook import LabEntry

REFERENCE = ("Timeline", "Root cause", "Why it was hard to see", "Fix", "Guard")
"""Sections of a post-mortem that tell the way through."""


@dataclass(frozen=True)
class Standing:
    """How far a learner is with a kata."""

    kata: Kata
    attempts: int
    hints: int
    fixed: bool
    """On all seeds."""
    diagnosed: bool

    @property
    def state(self) -> str:
        """In a word or two; empty for a kata without attempts."""
        if self.fixed:
            return "fixed and diagnosed" if self.diagnosed else "fixed"
        return f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}" if self.attempts else ""


def standings(katas: Sequence[Kata]) -> list[Standing]:
    """Return how far a learner is, by track and level; the track that begins easiest comes first."""
    begins = {kata.toml.track: min(k.toml.level for k in katas if k.toml.track == kata.toml.track) for kata in katas}
    return [_standing(kata) for kata in sorted(katas, key=lambda k: (begins[k.toml.track], k.toml.track, k.toml.level, k.slug))]


def _standing(kata: Kata) -> Standing:
    attempts = remembered(kata.slug, "attempt")
    fixed = any(a.get("fixed") and a.get("whole", len(a.get("seeds", ())) > 1) for a in attempts)
    diagnosed = any(form and not form["wrong"] for form in (a.get("diagnosis") for a in attempts))
    return Standing(kata, len(attempts), len(remembered(kata.slug, "hint")), fixed, diagnosed)


def try_next(found: Sequence[Standing]) -> Kata | None:
    """Return what was begun and not fixed, else the easiest that is left; None when all are fixed."""
    left = [s for s in found if not s.fixed]
    begun = [s for s in left if s.attempts]
    return min(begun or left, key=lambda s: (s.kata.toml.level, s.kata.toml.minutes, s.kata.slug)).kata if left else None


def start_page(katas: Sequence[Kata], folder: Path) -> str:
    """Return the start page as Markdown; its links are relative to `folder`."""
    found = standings(katas)
    lines = ["# Training runs that go wrong", ""]
    lines += [
        "Each notebook here, a kata, holds a small, real training run. You get the incident brief of an engineer on call and the run's telemetry.",
        "Find the cause and repair the run. The lab runs your notebook on the public seed and on two held-out seeds, and says whether the repair holds.",
        "",
    ]
    if upcoming := try_next(found):
        lines += [f"**Try next:** {_link(upcoming, folder)} · level {upcoming.toml.level} · {upcoming.toml.minutes} minutes", ""]
    lines += [f"{sum(s.fixed for s in found)} of {len(found)} fixed.", ""]
    lines += ["| track | kata | level | what you see | minutes | |", "|---|---|---|---|---|---|"]
    track = ""
    for s in found:
        toml = s.kata.toml
        mark = "✔ " if s.fixed else ""
        shown = "" if toml.track == track else toml.track
        lines.append(f"| {shown} | {_link(s.kata, folder)} | {toml.level} | {toml.title} | {toml.minutes} | {mark}{s.state} |")
        track = toml.track
    lines.append("")
    lines += [
        "Levels: 1 one clue, one cell · 2 two clues · 3 needs an experiment · 4 several causes or a lookalike · 5 unseen incidents.",
        "",
        "Open a notebook, read it from the top and run it. Edit the cells that it names as yours, and add your own. Save, then check it from its last cell;",
        "the verdict appears there. Your lab notebook keeps your hypotheses and attempts. `%kata debrief` shows them beside the reference.",
        "",
    ]
    return "\n".join(lines)


def _link(kata: Kata, folder: Path) -> str:
    return f"[{kata.slug}]({Path(os.path.relpath(kata.notebook, folder)).as_posix()})"


@dataclass(frozen=True)
class Stop:
    """One attempt on the way."""

    entry: LabEntry
    after_s: float
    """Since the kata was first opened or checked, or a hint was first shown."""
    edits: list[tuple[str, list[str]]]
    """Diffs against the attempt before."""
    hints: int
    """Shown before it."""


def minutes(seconds: float) -> str:
    """Return a time as people say it: 7 min, 1 h 05 min."""
    hours, rest = divmod(int(seconds) // 60, 60)
    return f"{hours} h {rest:02d} min" if hours else f"{rest} min"


@dataclass(frozen=True)
class Debrief:
    """A learner's way through a kata, and the reference."""

    kata: Kata
    stops: list[Stop]
    runs: int
    hints: int
    first_right_s: float | None
    """Time to the first attempt whose diagnosis named the cause, or had every field right; None when none did."""
    fixed_s: float | None
    reference: list[tuple[str, str]]
    """Headings and Markdown; empty until the kata is fixed on all seeds, or given up."""


def debrief(kata: Kata, *, give_up: bool = False) -> Debrief:
    """Return a learner's way and the reference; giving up is remembered, and opens the reference."""
    if give_up and not _standing(kata).fixed:
        remember(kata, "gave_up")
    taken, entries = remembered(kata.slug, "hint"), lab_notebook.entries(kata.slug)
    times = [float(e["time"]) for e in (*remembered(kata.slug, "opened"), *taken)] + [entry.time for entry in entries]
    began = min(times, default=0.0)
    stops = [
        Stop(entry, entry.time - began, lab_notebook.edits(kata, entry, before), sum(float(e["time"]) <= entry.time for e in taken))
        for entry, before in zip(entries, [None, *entries], strict=False)
    ]
    done = [stop.after_s for stop in stops if stop.entry.fixed and stop.entry.whole]
    right = [stop.after_s for stop in stops if "cause" in stop.entry.right or (stop.entry.right and not stop.entry.wrong)]
    read = bool(done) or bool(remembered(kata.slug, "gave_up"))
    runs = sum(len(stop.entry.seeds) for stop in stops)
    return Debrief(kata, stops, runs, len(taken), min(right, default=None), min(done, default=None), _reference(kata) if read else [])


def _reference(kata: Kata) -> list[tuple[str, str]]:
    parts = re.split(r"^## (.+)$", postmortem(kata), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    way = "\n\n".join(f"{n}. {' '.join(text.split())}" for n, text in enumerate(hints(kata), 1))
    return [("The way", way), *((name, sections[name].strip()) for name in REFERENCE if name in sections)]


def opened(kata: Kata) -> Entry | None:
    """Remember that a kata's notebook was opened; return the first time it was, if it was before."""
    before = remembered(kata.slug, "opened")
    if not before:
        remember(kata, "opened")
    return before[0] if before else None
