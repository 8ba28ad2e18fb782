"""Run a kata's checks as pytest tests: `python -m harness.judging.checks KATA` answers each question with what a Verdict holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from fixtures.scene import module_folders
from harness.course.errors import KataError
from harness.course.kata import shown
from harness.judging.bands import Bands, read_baseline
from harness.judging.child import serve
from harness.judging.evidence import MissingEvidence, Recomputed, Reported
from harness.judging.verdict import Status

MAX_MESSAGE_CHARS = 2000
"""A message may quote what a run left."""


class CheckPlugin:
    """Gives pytest the evidence as fixtures and takes the results: checks are functions `check_*` in checks.py."""

    def __init__(self, seed: int, reported: Reported, recomputed: Recomputed, truth: dict[str, Any], band: Bands) -> None:
        self._evidence = {"seed": seed, "reported": reported, "recomputed": recomputed, "truth": truth, "band": band}
        self._band = band
        self.results: list[dict[str, Any]] = []
        self.uncollected = ""
        """Why checks.py could not be read."""

    @pytest.fixture
    def seed(self) -> Any:
        return self._evidence["seed"]

    @pytest.fixture
    def reported(self) -> Any:
        return self._evidence["reported"]

    @pytest.fixture
    def recomputed(self) -> Any:
        return self._evidence["recomputed"]

    @pytest.fixture
    def truth(self) -> Any:
        return self._evidence["truth"]

    @pytest.fixture
    def band(self) -> Any:
        return self._evidence["band"]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_runtest_makereport"""
        report = yield
        if call.when == "call" or call.excinfo is not None:
            status, message = self._outcome(call)
            claim = (cast("pytest.Function", item).obj.__doc__ or "").strip().splitlines()
            margins = [vars(margin) for margin in self._band.margins]
            self._band.margins.clear()
            self.results.append(
                {"name": item.name, "claim": claim[0] if claim else "", "status": status, "message": message, "margins": margins}
            )
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.uncollected = report.longreprtext.strip().splitlines()[-1].removeprefix("E").strip()

    @staticmethod
    def _outcome(call: pytest.CallInfo[None]) -> tuple[Status, str]:
        match call.excinfo and call.excinfo.value:
            case None:
                return "pass", ""
            case AssertionError() as e:
                return "fail", str(e).split("\nassert ")[0][:MAX_MESSAGE_CHARS]
            case MissingEvidence() as e:
                return "fail", str(e)[:MAX_MESSAGE_CHARS]
            case KataError() as e:
                return "error", str(e)
            case e:
                return "error", f"{type(e).__name__}: {e}"


def run_checks(kata: Path, plugin: CheckPlugin) -> list[dict[str, Any]]:
    """Run `checks.py` under pytest; raises KataError when it cannot be collected."""
    options = ["-p", "no:terminal", "-p", "no:cacheprovider", "--capture=no", "--import-mode=importlib"]
    settings = ["-c", "/dev/null", "--rootdir", str(kata), "-o", "python_files=checks.py", "-o", "python_functions=check_*"]
    code = pytest.main([*options, *settings, str(kata / "checks.py")], plugins=[plugin])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not plugin.results:
        raise KataError(
            f"{shown(kata / 'checks.py')}: no check could be run ({plugin.uncollected or pytest.ExitCode(code).name}); its functions are called check_*"
        )
    return plugin.results


def judge_diagnosis(reported: Reported, truth: dict[str, Any]) -> dict[str, Any] | None:
    """Compare the form, field by field, with the accepted answers; text and whole numbers only."""
    accepted = truth.get("diagnosis")
    if not accepted:
        return None
    try:
        form = reported.artifact("diagnosis")
    except MissingEvidence:
        form = {}
    given = form if isinstance(form, dict) else {}
    right = [name for name, answers in accepted.items() if _matches(given.get(name), answers)]
    blank = all(given.get(name) in ("", None) for name in accepted)
    return {"right": right, "wrong": [name for name in accepted if name not in right], "blank": blank}


def _matches(given: Any, answers: list[Any]) -> bool:
    value = given.strip().lower() if isinstance(given, str) else given
    return any(type(value) is type(answer) and value == answer for answer in answers)


def _answer(kata: Path, calibrating: bool, question: dict[str, Any]) -> dict[str, Any]:
    findings, path = question["findings"], kata / ".meta" / "baseline.json"
    reported = Reported(Path(question["reported"]))
    recomputed = Recomputed(findings.get("recomputed", {}), findings.get("unreadable"))
    plugin = CheckPlugin(question["seed"], reported, recomputed, findings["truth"], Bands(read_baseline(path), path, calibrating))
    return {"checks": run_checks(kata, plugin), "diagnosis": judge_diagnosis(reported, findings["truth"])}


def main() -> None:
    kata, calibrating = Path(sys.argv[1]), "--calibrating" in sys.argv
    sys.path += module_folders(kata)
    serve(lambda question: _answer(kata, calibrating, question))


if __name__ == "__main__":
    main()
