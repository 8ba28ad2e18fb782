"""Questions for the interview after an exam: simple rules, each with a fact and a question."""

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
    attempts: tuple[int, ...] = ()
    """The attempts that it rests on."""


def prompts(exam: Exam, kata: Kata, proof: Proof, score: KataScore) -> list[Prompt]:
    """Return what to ask about one kata, in the order of the attempts."""
    if not score.replay:
        return [Prompt("No attempt.", "How far did you get with it, and what would you have looked at next?")]
    found = [
        *_before_the_code(score),
        *_what_changed(kata, score),
        *_masks(kata, proof, score),
        *_claims(score),
        *_broken(score),
        *_end(exam, score),
    ]
    return sorted(found, key=lambda prompt: prompt.attempts[0] if prompt.attempts else 10**6)


def _before_the_code(score: KataScore) -> Iterator[Prompt]:
    entries = [(r.attempt.number, r.entry) for r in score.replay if r.entry]
    written = [(number, entry.hypotheses) for number, entry in entries if entry.hypotheses]
    edited = next(((number, entry) for number, entry in entries if _code(entry)), None)
    if edited and not any(number <= edited[0] for number, _ in written):
        number, entry = edited
        yield Prompt(
            f"Attempt {number} changed {listed(_code(entry))} without a written hypothesis.",
            "What did you expect the next run to show, and what would have proved you wrong?",
            (number,),
        )
    if written and written[0][1] != written[-1][1] and not set(written[0][1]) <= set(written[-1][1]):
        (first, before), (last, after) = written[0], written[-1]
        yield Prompt(
            f"The hypothesis of attempt {first}, “{_short(before)}”, had changed by attempt {last}: “{_short(after)}”.",
            "Which number changed your mind?",
            (first, last),
        )
    for (one, entry_before), (other, entry) in pairwise(entries):
        if dropped := [name for name in entry_before.right if name in entry.wrong]:
            yield Prompt(
                f"{listed(dropped)} of the diagnosis was right in attempt {one} and wrong in attempt {other}.",
                "What spoke against your first answer?",
                (one, other),
            )
    if not any(entry.looked for _, entry in entries) and entries:
        yield Prompt(
            "No attempt had an added cell that looks at the run.",
            "How did you look at it, and what would you look at first if you could start again?",
        )


def _what_changed(kata: Kata, score: KataScore) -> Iterator[Prompt]:
    cells = _names(kata)
    if (first := score.replay[0]).entry and len(_code(first.entry)) >= MANY_CELLS:
        yield _many(first.attempt.number, _code(first.entry))
    for before, after in pairwise(r for r in score.replay if r.entry):
        assert before.entry and after.entry
        one, other = before.attempt.number, after.attempt.number
        changed = _changed(before.entry, after.entry)
        named = [cell for cell in cells if any(re.search(p, text) for p in cells[cell] for text in before.entry.evidence)]
        if not before.attempt.fixed and changed and named and not set(named) & set(changed):
            yield Prompt(
                f"The evidence of attempt {one} names {listed(named)}, and attempt {other} changed {listed(changed)}.",
                "What led you there?",
                (one, other),
            )
        if len(changed) >= MANY_CELLS:
            yield _many(other, changed)
        if not changed:
            yield Prompt(
                f"Attempt {other} ran the same code as attempt {one}"
                + ("" if _guess(before.entry) == _guess(after.entry) else ", with another diagnosis")
                + ".",
                "What did you want to learn from it?",
                (one, other),
            )
        elif before.judged and after.judged and before.judged.failed and set(before.judged.failed) == set(after.judged.failed):
            yield Prompt(
                f"Attempts {one} and {other} fail the same checks: {listed(after.judged.failed)}; in between, {listed(changed)} changed.",
                "What did the second tell you that the first had not?",
                (one, other),
            )


def _many(number: int, cells: list[str]) -> Prompt:
    return Prompt(
        f"Attempt {number} changed {len(cells)} cells at once: {listed(cells)}.",
        "Which of them made a difference, and how would you find out?",
        (number,),
    )


def _masks(kata: Kata, proof: Proof, score: KataScore) -> Iterator[Prompt]:
    """A masking fix is named once, at the first attempt that resembles it."""
    met: set[str] = set()
    shipped = authored(kata)
    for replayed in score.replay:
        entry, judged = replayed.entry, replayed.judged
        if not entry or not judged or judged.exit_code != 1:
            continue
        alike = resembling_masks(kata, proof, shipped, set(judged.failed), entry.cells)
        if alike and alike[0].name not in met:
            met.add(alike[0].name)
            others = f" ({len(alike)} known ones do; this one is the closest)" if len(alike) > 1 else ""
            number = replayed.attempt.number
            yield Prompt(
                f"The known masking repair `{alike[0].name}` fails the same checks as attempt {number}{others}. Of that one: {alike[0].why}",
                "What does your repair act on, and what would still be wrong after it?",
                (number,),
            )


def _claims(score: KataScore) -> Iterator[Prompt]:
    for replayed in score.replay:
        attempt, judged = replayed.attempt, replayed.judged
        if not (judged and attempt.counted):
            continue
        held_out = judged.decided_by != score.drawn.seed
        if attempt.confidence is not None and attempt.confidence >= SURE and not judged.fixed:
            where = f"on held-out seed {judged.decided_by}" if held_out else "on the public seed"
            yield Prompt(
                f"Attempt {attempt.number} came with confidence {attempt.confidence:g} and failed {where}.",
                "What had you tested that made you so sure?",
                (attempt.number,),
            )
        if attempt.confidence is not None and attempt.confidence <= UNSURE and judged.fixed:
            yield Prompt(
                f"Attempt {attempt.number} came with confidence {attempt.confidence:g} and held on all seeds.",
                "What did you not trust, and how could you have tested it?",
                (attempt.number,),
            )
        if held_out and not judged.fixed:
            yield Prompt(
                f"Attempt {attempt.number} passed on the public seed and failed {listed(judged.failed)} on held-out seed {judged.decided_by}.",
                "What in the repair depends on the public seed?",
                (attempt.number,),
            )


def _broken(score: KataScore) -> Iterator[Prompt]:
    for replayed in score.replay:
        entry, number = replayed.entry, replayed.attempt.number
        if not replayed.judged:
            yield Prompt(f"Attempt {number} was interrupted.", "What did you notice while it ran?", (number,))
        elif entry and (bad := [outcome for outcome in entry.outcomes if outcome != "completed"]):
            yield Prompt(
                f"Attempt {number} did not run to its end ({bad[0].replace('_', ' ')}): {_short(entry.evidence)}",
                "How could you have known before the attempt?",
                (number,),
            )


def _end(exam: Exam, score: KataScore) -> Iterator[Prompt]:
    right, wrong = score.diagnosis
    fixed = next((r.attempt.number for r in score.replay if r.attempt.fixed), None)
    if fixed and wrong:
        yield Prompt(
            f"Fixed in attempt {fixed}, and {listed(wrong)} of the diagnosis is blank or wrong.",
            "How do you know that the repair acts on the cause and not on what it shows? Which number would tell?",
            (fixed,),
        )
    if not fixed and right and not wrong:
        yield Prompt("The diagnosis is right in all fields, and no repair held.", "What stood between the cause and the repair?")
    if not fixed and score.used >= score.drawn.attempts:
        yield Prompt(
            f"All {score.drawn.attempts} attempts were used.",
            "Which of them would you rather have kept, and what could you have measured without one?",
        )
    elif not fixed and exam.finished and exam.finished.reason == "time":
        yield Prompt(
            f"Time was up with {score.drawn.attempts - score.used} of {score.drawn.attempts} attempts left.",
            "What would you have tried next?",
        )


def _code(entry: LabEntry) -> list[str]:
    return [cell for cell in entry.cells if cell != DIAGNOSIS_CELL]


def _guess(entry: LabEntry) -> dict[str, object]:
    return dict(entry.diagnosis)


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
