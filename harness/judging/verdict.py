"""What is found about a run: `Judge` sends it to two processes, harness.judging.oracle and harness.judging.checks."""

from __future__ import annotations

import math
import threading
import time
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
    """As many judges of one kata as threads need at the same time: started when needed, reused, closed at the end of a with block.

    A judge remembers what it computed for a seed, which may take ten times as long as judging. So a thread waits for the judge that knows its
    seed, unless another one learns it in less time.
    """

    def __init__(self, kata: Path, *, calibrating: bool = False) -> None:
        self.calibrating = calibrating
        self._kata = kata
        self._returned = threading.Condition()
        self._idle: list[Judge] = []
        self._seeds: dict[Judge, set[int]] = {}
        self._first_s: dict[int, float] = {}
        """Time of the first judging of each seed, what is remembered included."""
        self._later_s = 0.0
        """Time of the last judging of a seed that was known."""

    @contextmanager
    def one(self, seed: int) -> Iterator[Judge]:
        """Lend a judge that no other thread uses."""
        with self._returned:
            self._returned.wait_for(lambda: not self._is_worth_waiting(seed))
            if not self._idle:
                self._idle.append(Judge(self._kata, calibrating=self.calibrating))
            judge = max(self._idle, key=lambda idle: seed in self._seeds.get(idle, ()))
            self._idle.remove(judge)
            knew = seed in self._seeds.setdefault(judge, set())
            self._seeds[judge].add(seed)
        start_s = time.monotonic()
        try:
            yield judge
        finally:
            with self._returned:
                took_s = time.monotonic() - start_s
                if knew:
                    self._later_s = took_s
                else:
                    self._first_s.setdefault(seed, took_s)
                self._idle.append(judge)
                self._returned.notify_all()

    def _is_worth_waiting(self, seed: int) -> bool:
        """Return whether a busy judge knows the seed, no idle one does, and learning it takes longer than one more judging."""
        knowing = {judge for judge, seeds in self._seeds.items() if seed in seeds}
        if not knowing or knowing & set(self._idle):
            return False
        return self._first_s.get(seed, math.inf) > 2 * self._later_s

    def __enter__(self) -> Judges:
        return self

    def __exit__(self, *exception: object) -> None:
        for judge in self._seeds:
            judge.close()
