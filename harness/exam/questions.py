"""What an interviewer could ask about an exam: plain rules, each with what happened and a question."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from harness.check.feedback import DIAGNOSIS_CELL, resembling_masks
from harness.course.kata import Kata, Proof, listed
from harness.course.notebook import authored, begins
from harness.exam.scorecard import KataScore
from harness.exam.state import Exam
from harness.ui.lab_notebook import LabEntry

SURE, UNSURE = 0.7, 0.4
MANY_CELLS = 3


@dataclass(frozen=True)
class Prompt:
    fact: str
    question: str
    checks: tuple[int, ...] = ()
    """The checks that it rests on."""


def prompts(exam: Exam, kata: Kata, proof: Proof, score: KataScore) -> list[Prompt]:
    """Return what to ask about one kata, in the order of the checks."""
    if not score.replay:
        return [Prompt("Never checked.", "How far did you get with it, and what would you have looked at next?")]
    found = [
        *_before_the_code(score),
        *_what_changed(kata, score),
        *_masks(kata, proof, score),
        *_claims(score),
        *_broken(score),
        *_end(exam, score),
    ]
    return sorted(found, key=lambda prompt: prompt.checks[0] if prompt.checks else 10**6)


def _before_the_code(score: KataScore) -> Iterator[Prompt]:
    pages = [(r.check.number, r.page) for r in score.replay if r.page]
    written = [(number, page.hypotheses) for number, page in pages if page.hypotheses]
    edited = next(((number, page) for number, page in pages if _code(page)), None)
    if edited and not any(number <= edited[0] for number, _ in written):
        number, page = edited
        yield Prompt(
            f"Check {number} changed {listed(_code(page))} with no hypothesis written down.",
            "What did you expect the next run to show, and what would have proved you wrong?",
            (number,),
        )
    if written and written[0][1] != written[-1][1] and not set(written[0][1]) <= set(written[-1][1]):
        (first, before), (last, after) = written[0], written[-1]
        yield Prompt(
            f"The hypothesis of check {first}, “{_short(before)}”, was another at check {last}: “{_short(after)}”.",
            "Which number changed your mind?",
            (first, last),
        )
    for (one, before_page), (other, page) in pairwise(pages):
        if dropped := [name for name in before_page.right if name in page.wrong]:
            yield Prompt(
                f"{listed(dropped)} of the diagnosis was right at check {one} and no longer at check {other}.",
                "What spoke against your first answer?",
                (one, other),
            )
    if not any(page.looked for _, page in pages) and pages:
        yield Prompt(
            "No notebook that was checked had a cell added to look at the run.",
            "How did you look at it, and what would you look at first if you could start again?",
        )


def _what_changed(kata: Kata, score: KataScore) -> Iterator[Prompt]:
    cells = _names(kata)
    if (first := score.replay[0]).page and len(_code(first.page)) >= MANY_CELLS:
        yield _many(first.check.number, _code(first.page))
    for before, after in pairwise(r for r in score.replay if r.page):
        assert before.page and after.page
        one, other = before.check.number, after.check.number
        changed = _changed(before.page, after.page)
        named = [cell for cell in cells if any(re.search(p, text) for p in cells[cell] for text in before.page.evidence)]
        if not before.check.fixed and changed and named and not set(named) & set(changed):
            yield Prompt(
                f"The evidence of check {one} names {listed(named)}, and check {other} changed {listed(changed)}.",
                "What led you there?",
                (one, other),
            )
        if len(changed) >= MANY_CELLS:
            yield _many(other, changed)
        if not changed:
            yield Prompt(
                f"Check {other} ran the same code as check {one}"
                + ("" if _guess(before.page) == _guess(after.page) else ", with another diagnosis")
                + ".",
                "What did you want to learn from it?",
                (one, other),
            )
        elif before.judged and after.judged and before.judged.failed and set(before.judged.failed) == set(after.judged.failed):
            yield Prompt(
                f"Checks {one} and {other} fail the same: {listed(after.judged.failed)}; in between, {listed(changed)} changed.",
                "What did the second tell you that the first had not?",
                (one, other),
            )


def _many(number: int, cells: list[str]) -> Prompt:
    return Prompt(
        f"Check {number} changed {len(cells)} cells at once: {listed(cells)}.",
        "Which of them made a difference, and how would you find out?",
        (number,),
    )


def _masks(kata: Kata, proof: Proof, score: KataScore) -> Iterator[Prompt]:
    """A masking fix is named once, at the first attempt that resembles it."""
    met: set[str] = set()
    shipped = authored(kata)
    for replayed in score.replay:
        entry, judged = replayed.page, replayed.judged
        if not entry or not judged or judged.exit_code != 1:
            continue
        alike = resembling_masks(kata, proof, shipped, set(judged.failed), entry.cells)
        if alike and alike[0].name not in met:
            met.add(alike[0].name)
            others = f" ({len(alike)} known ones do; this one is the closest)" if len(alike) > 1 else ""
            number = replayed.check.number
            yield Prompt(
                f"The known masking repair `{alike[0].name}` fails the same checks as attempt {number}{others}. Of that one: {alike[0].why}",
                "What does your repair act on, and what would still be wrong after it?",
                (number,),
            )


def _claims(score: KataScore) -> Iterator[Prompt]:
    for replayed in score.replay:
        check, judged = replayed.check, replayed.judged
        if not (judged and check.counted):
            continue
        hidden = judged.decided_by != score.drawn.seed
        if check.confidence is not None and check.confidence >= SURE and not judged.fixed:
            where = f"on night {judged.decided_by}, which nobody had seen" if hidden else "on the exam's own night"
            yield Prompt(
                f"Check {check.number} came with confidence {check.confidence:g} and failed {where}.",
                "What had you tested that made you so sure?",
                (check.number,),
            )
        if check.confidence is not None and check.confidence <= UNSURE and judged.fixed:
            yield Prompt(
                f"Check {check.number} came with confidence {check.confidence:g} and held on all nights.",
                "What did you not trust, and how could you have tested it?",
                (check.number,),
            )
        if hidden and not judged.fixed:
            yield Prompt(
                f"Check {check.number} passed on the night that could be looked at and failed {listed(judged.failed)} on night {judged.decided_by}.",
                "What in the repair rests on that one night?",
                (check.number,),
            )


def _broken(score: KataScore) -> Iterator[Prompt]:
    for replayed in score.replay:
        page, number = replayed.page, replayed.check.number
        if not replayed.judged:
            yield Prompt(f"Check {number} was broken off.", "What did you notice while it ran?", (number,))
        elif page and (bad := [outcome for outcome in page.outcomes if outcome != "completed"]):
            yield Prompt(
                f"Check {number} did not run to its end ({bad[0].replace('_', ' ')}): {_short(page.evidence)}",
                "How could you have known before you asked for it?",
                (number,),
            )


def _end(exam: Exam, score: KataScore) -> Iterator[Prompt]:
    right, wrong = score.diagnosis
    fixed = next((r.check.number for r in score.replay if r.check.fixed), None)
    if fixed and wrong:
        yield Prompt(
            f"Fixed at check {fixed}, and {listed(wrong)} of the diagnosis is blank or wrong.",
            "How do you know that the repair acts on the cause and not on what it shows? Which number would tell?",
            (fixed,),
        )
    if not fixed and right and not wrong:
        yield Prompt("The diagnosis is right in all fields, and no repair held.", "What stood between the cause and the repair?")
    if not fixed and score.used >= score.drawn.checks:
        yield Prompt(
            f"All {score.drawn.checks} checks were used.",
            "Which of them would you rather have kept, and what could you have measured without one?",
        )
    elif not fixed and exam.finished and exam.finished.reason == "time":
        yield Prompt(
            f"Time was up with {score.drawn.checks - score.used} of {score.drawn.checks} checks left.", "What would you have asked next?"
        )


def _code(page: LabEntry) -> list[str]:
    return [cell for cell in page.cells if cell != DIAGNOSIS_CELL]


def _guess(page: LabEntry) -> dict[str, object]:
    return dict(page.diagnosis)


def _changed(before: LabEntry, after: LabEntry) -> list[str]:
    cells = dict.fromkeys([*_code(before), *_code(after)])
    return [cell for cell in cells if before.cells.get(cell) != after.cells.get(cell)]


def _names(kata: Kata) -> dict[str, list[str]]:
    """The editable cells, with patterns of what names each in a text: its id, how it begins, the functions and classes that it defines."""
    editable = [cell for cell in authored(kata).cells if cell.id in kata.toml.cells.editable and cell.id != DIAGNOSIS_CELL]
    return {cell.id: [f"`{cell.id}`", re.escape(begins(cell)), *_patterns(cell.source)] for cell in editable}


def _patterns(source: str) -> Iterator[str]:
    for name in re.findall(r"^\s*(?:def|class) (\w+)", source, flags=re.MULTILINE):
        distinct = len(name) > 3 and ("_" in name.strip("_") or name[0].isupper())
        # An everyday word names something defined only where it is marked as code.
        yield rf"\b{name}\b" if distinct else rf"`(?:(?:def|class) )?{name}\b"


def _short(texts: tuple[str, ...]) -> str:
    """A hypothesis or a message on one line, without the words that the kata's own cell begins with."""
    text = re.sub(r"^[\W_]*(my )?hypothes[ie]s\W+", "", " ".join(" ".join(texts).split()), flags=re.IGNORECASE)
    return text if len(text) <= 140 else text[:139] + "…"
