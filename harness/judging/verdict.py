"""What is found about a run: `Judge` sends it to two processes, harness.judging.oracle and harness.judging.checks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from harness.judging.bands import Margin
from harness.judging.child import Child, Overwhelmed

Status = Literal["pass", "fail", "error"]


@dataclass(frozen=True)
class CheckResult:
    """One check of a kata, judged."""

    name: str
    claim: str
    """The first line of its docstring: what holds in a healthy run."""
    status: Status
    message: str
    """The evidence, when it failed; what broke, when the check itself did."""
    margins: tuple[Margin, ...]


@dataclass(frozen=True)
class Diagnosis:
    """How much of the learner's diagnosis form is right."""

    right: tuple[str, ...]
    wrong: tuple[str, ...]
    blank: bool
    """Nothing was filled in."""


@dataclass(frozen=True)
class Verdict:
    """What the judge found for one run."""

    seed: int
    checks: tuple[CheckResult, ...]
    diagnosis: Diagnosis | None
    """None when the kata asks for none."""

    @classmethod
    def read(cls, seed: int, answer: dict[str, Any]) -> Verdict:
        """Return the verdict that plain values tell: what harness.judging.checks answers, or `asdict` made of one."""
        checks = tuple(CheckResult(**(c | {"margins": tuple(Margin(**m) for m in c["margins"])})) for c in answer["checks"])
        form = answer["diagnosis"]
        return cls(seed, checks, form and Diagnosis(tuple(form["right"]), tuple(form["wrong"]), form["blank"]))

    @property
    def fixed(self) -> bool:
        return all(check.status == "pass" for check in self.checks)

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if check.status != "pass")


class Judge:
    """Two processes, alive until the end of a with block: one that recomputes, one that checks."""

    def __init__(self, kata: Path, *, calibrating: bool = False) -> None:
        self.calibrating = calibrating
        self._arguments = (str(kata), *(["--calibrating"] if calibrating else []))
        self._open = ExitStack()

    def start(self) -> None:
        """Start both processes, if they were not yet: they load for a second or two, best while a notebook trains."""
        _ = self._oracle, self._checks

    @cached_property
    def _oracle(self) -> Child:
        return self._open.enter_context(Child("harness.judging.oracle", self._arguments[0]))

    @cached_property
    def _checks(self) -> Child:
        return self._open.enter_context(Child("harness.judging.checks", *self._arguments))

    def judge(self, seed: int, evidence: Path) -> Verdict:
        """Judge what a finished run left: call it only when no kernel of this seed lives."""
        return self.check(seed, evidence, self.look(seed, evidence))

    def look(self, seed: int, evidence: Path) -> dict[str, Any]:
        """Return what the oracle finds in a finished run: the first half of `judge`."""
        findings: dict[str, Any]
        try:
            findings = self._oracle.ask({"seed": seed, "evidence": str(evidence)})
        except Overwhelmed as e:
            # It read what a learner's code wrote: that is the run's fault, not the kata's. A new oracle still recomputes the truth.
            del self._oracle
            findings = self._oracle.ask({"seed": seed, "evidence": None}) | {"unreadable": f"reading what the run left: {e}"}
        return findings

    def check(self, seed: int, reported: Path, findings: dict[str, Any]) -> Verdict:
        """Run the checks on what a run reported and what the oracle found: the second half of `judge`."""
        return Verdict.read(seed, self._checks.ask({"seed": seed, "reported": str(reported), "findings": findings}))

    def close(self) -> None:
        """End both processes."""
        self._open.close()

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Judges:
    """As many judges of one kata as threads need at the same time: started when needed, reused, closed at the end of a with block."""

    def __init__(self, kata: Path, *, calibrating: bool = False) -> None:
        self.calibrating = calibrating
        self._kata = kata
        self._lock = threading.Lock()
        self._idle: list[Judge] = []
        self._seeds: dict[Judge, set[int]] = {}

    @contextmanager
    def one(self, seed: int) -> Iterator[Judge]:
        """Lend a judge that no other thread uses: one that has judged this seed, if it is idle, because it remembers the truth."""
        with self._lock:
            if not self._idle:
                self._idle.append(Judge(self._kata, calibrating=self.calibrating))
            judge = max(self._idle, key=lambda idle: seed in self._seeds.get(idle, ()))
            self._idle.remove(judge)
            self._seeds.setdefault(judge, set()).add(seed)
        try:
            yield judge
        finally:
            with self._lock:
                self._idle.append(judge)

    def __enter__(self) -> Judges:
        return self

    def __exit__(self, *exception: object) -> None:
        for judge in self._seeds:
            judge.close()
