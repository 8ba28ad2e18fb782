"""What is found about a run, and who finds it: `Judge` asks two processes, harness.judging.oracle and harness.judging.checks."""

from __future__ import annotations

from contextlib import ExitStack
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

    def look(self, seed: int, evidence: Path) -> dict[str, Any]:
        """Return what the oracle finds in a finished run: call it only when no kernel of this seed lives."""
        findings: dict[str, Any]
        try:
            findings = self._oracle.ask({"seed": seed, "evidence": str(evidence)})
        except Overwhelmed as e:
            # It read what a learner's code wrote: that is the run's fault, not the kata's. Another one still knows the truth.
            del self._oracle
            findings = self._oracle.ask({"seed": seed, "evidence": None}) | {"unreadable": f"reading what the run left: {e}"}
        return findings

    def judge(self, seed: int, reported: Path, findings: dict[str, Any]) -> Verdict:
        """Judge what a run reported in the light of what the oracle found."""
        return Verdict.read(seed, self._checks.ask({"seed": seed, "reported": str(reported), "findings": findings}))

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()
