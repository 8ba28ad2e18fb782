"""CheckView: everything that any page shows about one attempt, computed once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fixtures.recording.journal import REPOSITORY
from fixtures.seeds import HELD_OUT
from harness.check.attempt import Attempt, checks_hidden
from harness.check.examine import Examined
from harness.check.feedback import resembled
from harness.course.kata import Kata, listed, shown
from harness.course.notebook import diffs, sources
from harness.course.scaffold import postmortem
from harness.judging.evidence import MissingEvidence, Reported
from harness.ui.hints import hint_to_come
from harness.ui.plot import Plot, Points, plot

WRONG_FIELDS_NAMED_AFTER = 2
"""Attempts. From the third on, the wrong fields of a diagnosis are named; earlier, trying every value would pay."""
MAX_FIELD_CHARS = 300
Tone = Literal["good", "bad", "fault", "open"]
"""What a line means: a pass, a failure, a fault of the kata, something still to do."""


@dataclass(frozen=True)
class Line:
    """One sentence and what it means."""

    text: str
    tone: Tone


@dataclass(frozen=True)
class CheckView:
    """One attempt as every page shows it."""

    kata: Kata
    attempt: Attempt
    conclusion: Line
    diagnosis: Line | None
    """How much of the form is right; None where the kata has no form, or it was not judged."""
    form: Mapping[str, str]
    """The diagnosis form as filled in, without empty fields."""
    feedback: str
    """What the known masking fix that the attempt resembles leaves unrepaired; empty when there is none."""
    next_steps: tuple[str, ...]
    curve: Points
    """The kata's curve in the decisive run; empty when the run has none."""
    plot: Plot | None
    shipped: Mapping[str, str]
    """The shipped cells, by id."""
    changes: list[tuple[str, list[str]]]
    """Changed cells, each with the lines of a diff."""
    postmortem: str
    """Markdown; empty until the attempt has earned it."""
    diagnosis_open: bool
    """The run is repaired on all seeds, and the form is empty: the post-mortem waits for it."""

    def hidden(self, examined: Examined) -> bool:
        """Whether a run's checks stay hidden until the diagnosis form is filled in."""
        return checks_hidden(self.kata, examined)

    def seed_name(self, examined: Examined) -> str:
        """Return what a run's seed is called."""
        return seed_name(examined.seed, self.attempt.public_seed)


def seed_name(seed: int, public_seed: int) -> str:
    """Return what a seed is called: public, held-out or neither."""
    return f"public seed {seed}" if seed == public_seed else f"held-out seed {seed}" if seed in HELD_OUT else f"seed {seed}"


def view_of(kata: Kata, done: Attempt, *, exam: bool = False) -> CheckView:
    """Compute what pages show about an attempt. In an exam nothing helps: no feedback, no post-mortem, no field is named."""
    public = Reported(done.examined[0].execution.evidence)
    decisive = public if done.decisive is done.examined[0] else Reported(done.decisive.execution.evidence)
    hidden = checks_hidden(kata, done.decisive)
    curve = decisive.curve(kata.toml.curve)
    shipped = sources(done.submission.shipped)
    earned = done.fixed and done.whole
    waits = earned and done.diagnosis is not None and done.diagnosis.blank
    return CheckView(
        kata=kata,
        attempt=done,
        conclusion=_hidden_conclusion() if hidden else _conclusion(done, kata),
        diagnosis=_diagnosis(done, named=not exam and done.attempts_before >= WRONG_FIELDS_NAMED_AFTER),
        form=_form(public),
        feedback="" if exam or hidden else resembled(kata, done),
        next_steps=() if exam else tuple(_next_steps(kata, done, waits)),
        curve=curve if len(curve) > 1 else (),
        plot=plot(kata, curve),
        shipped=shipped,
        changes=diffs(shipped, sources(done.submission.notebook)),
        postmortem=postmortem(kata) if earned and not waits and not exam else "",
        diagnosis_open=waits,
    )


def _form(public: Reported) -> dict[str, str]:
    try:
        form: Any = public.artifact("diagnosis")
    except MissingEvidence:
        return {}
    given = form.items() if isinstance(form, dict) else ()
    return {str(name): str(value)[:MAX_FIELD_CHARS] for name, value in given if value not in ("", None)}


def _diagnosis(done: Attempt, *, named: bool) -> Line | None:
    form = done.diagnosis
    if not form:
        return None
    total = len(form.right) + len(form.wrong)
    if not form.wrong:
        return Line(f"diagnosis: all {total} fields are right", "good")
    if form.blank:
        return Line("diagnosis: not filled in", "open")
    return Line(f"diagnosis: {len(form.right)} of {total} fields are right" + (f"; wrong: {listed(form.wrong)}" if named else ""), "open")


def _hidden_conclusion() -> Line:
    return Line("Your diagnosis decides, and its form is empty. The checks are shown once you fill it in.", "bad")


def _conclusion(done: Attempt, kata: Kata) -> Line:
    if done.check_broke:
        return Line("A check of this kata raised an error. This is a bug in the kata. Please report the lines marked ERROR.", "fault")
    if done.not_judged:
        return Line(f"This machine cannot judge `{kata.slug}`: {done.not_judged}. Your repair is not the reason.", "bad")
    if any(e.unjudged for e in done.examined):
        return Line("This run could not be judged.", "bad")
    if done.checks_pass:
        return _passed(done)
    decisive = done.decisive
    what = (
        f"{len(decisive.verdict.failed)} of {len(decisive.verdict.checks)} checks fail"
        if decisive.verdict
        else "the notebook did not run to its end"
    )
    if decisive.seed != done.public_seed and done.whole:
        return Line(f"Not fixed: all checks pass on the public seed, but {what} on held-out seed {decisive.seed}.", "bad")
    return Line(f"Not fixed: {what}.", "bad")


def _passed(done: Attempt) -> Line:
    seed, form = done.decisive.seed, done.diagnosis
    if not done.fixed and form:
        return Line(
            f"All checks pass; your diagnosis decides: {len(form.right)} of {len(form.right + form.wrong)} fields are right.", "bad"
        )
    if not done.fixed:
        return Line(f"Seed {seed} alone: all checks pass. Your diagnosis decides, and it is judged on the public seed.", "bad")
    if not done.whole:
        return Line(f"Seed {seed} alone: all checks pass.", "good")
    if len(done.examined) == 1:
        return Line("Solved: all checks pass, and your diagnosis is right.", "good")
    solved = "Solved: your diagnosis is right, and" if done.diagnosis_decides else "Fixed:"
    return Line(f"{solved} all checks pass on the public seed and on {len(done.examined) - 1} held-out seeds.", "good")


def _next_steps(kata: Kata, done: Attempt, waits: bool) -> Iterator[str]:
    slug, decisive = kata.slug, done.decisive
    if done.submission.as_shipped:
        yield "The notebook is unchanged: this is the run that you investigate."
        yield f"  open it:           make lab, then {slug}/{slug}.ipynb, or any notebook editor: {shown(kata.notebook)}"
    if not done.sandbox.sandboxed:
        yield f"  unsandboxed:       {done.sandbox.why_not}"
    yield f"  curve and changes: {shown(done.folder / 'report.html')}"
    yield f"  files of the run:  {shown(decisive.execution.evidence)}"
    if done.fixed:
        if not done.whole:
            yield f"  all seeds:         {make(kata, 'check')}"
        if waits:
            yield "The post-mortem is shown when you fill in the diagnosis form and check again."
            yield f"  read it now:       {make(kata, 'debrief')}"
        return
    if decisive.seed != done.public_seed:
        yield f"  this seed again:   {make(kata, 'check')} SEED={decisive.seed}"
    if hint := hint_to_come(kata):
        yield f"  hint {hint[0]} of {hint[1]}:       {make(kata, 'hint')}"
    yield f"  check again:       {make(kata, 'check')}"


def make(kata: Kata, target: str) -> str:
    """Return the make command for a kata, with the folder of katas where it is not this repository's."""
    katas = kata.folder.parent
    elsewhere = "" if katas.resolve() == (REPOSITORY / "katas").resolve() else f" KATAS={shown(katas)}"
    return f"make {target} KATA={kata.slug}{elsewhere}"
