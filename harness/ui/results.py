"""An attempt for programs: verdict.json and junit.xml."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from harness.check.examine import Examined
from harness.course.kata import shown
from harness.judging.verdict import CheckResult
from harness.ui.view import CheckView


def as_json(view: CheckView) -> dict[str, Any]:
    """Return an attempt as plain values: kata, fixed, exit_code, and for each run its outcome and checks.

    The checks of a run are null when it could not be judged, and while they are hidden.
    """
    done = view.attempt
    return {
        "schema": 1,
        "kata": view.kata.slug,
        "run": done.number,
        "fixed": done.fixed,
        "exit_code": done.exit_code,
        "conclusion": view.conclusion.text,
        "sandboxed": done.sandbox.sandboxed,
        "not_judged": done.not_judged,
        "as_shipped": done.submission.as_shipped,
        "changed_cells": list(done.submission.changed),
        "notes": list(done.submission.notes),
        "diagnosis": done.diagnosis
        and {"right": len(done.diagnosis.right), "fields": len(done.diagnosis.right) + len(done.diagnosis.wrong)},
        "runs": [_run_as_json(view, e) for e in done.examined],
    }


def _run_as_json(view: CheckView, examined: Examined) -> dict[str, Any]:
    execution, verdict = examined.execution, None if view.hidden(examined) else examined.verdict
    return {
        "seed": examined.seed,
        "outcome": execution.outcome,
        "cell": execution.cell,
        "message": execution.message,
        "elapsed_s": round(execution.elapsed_s, 2),
        "peak_memory_gib": execution.peak_memory_gib,
        "folder": shown(execution.run_dir),
        "checks": [_check_as_json(check) for check in verdict.checks] if verdict else None,
    }


def _check_as_json(check: CheckResult) -> dict[str, Any]:
    margins = [{k: v if isinstance(v, str) or math.isfinite(v) else str(v) for k, v in asdict(m).items()} for m in check.margins]
    return {"name": check.name, "claim": check.claim, "status": check.status, "message": check.message, "margins": margins}


def write_junit(path: Path, view: CheckView) -> None:
    """Write an attempt as junit.xml: a suite for each seed, a case for each check."""
    root = ElementTree.Element("testsuites", name=view.kata.slug)
    for examined in view.attempt.examined:
        _suite(root, view, examined)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _suite(root: ElementTree.Element, view: CheckView, examined: Examined) -> None:
    slug, execution = view.kata.slug, examined.execution
    if view.hidden(examined):
        cases = [("the diagnosis form is filled in", "failure", view.conclusion.text)]
    elif examined.verdict:
        kinds = {"pass": "", "fail": "failure", "error": "error"}
        cases = [(check.name, kinds[check.status], check.message) for check in examined.verdict.checks]
    else:
        cases = [("the notebook runs to its end", "error", f"{execution.outcome}: {execution.message}")]
    attributes = {
        "name": f"{slug} seed {examined.seed}",
        "tests": str(len(cases)),
        "failures": str(sum(kind == "failure" for _, kind, _ in cases)),
        "errors": str(sum(kind == "error" for _, kind, _ in cases)),
        "time": f"{execution.elapsed_s:.2f}",
    }
    suite = ElementTree.SubElement(root, "testsuite", attributes)
    for name, kind, message in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=f"{slug}.seed_{examined.seed}", name=name)
        if kind:
            ElementTree.SubElement(case, kind, message=_xml_text(message))


def _xml_text(text: str) -> str:
    """Replace control characters, which XML cannot hold and a learner's error message may."""
    return "".join(c if c >= " " or c in "\t\n" else "�" for c in text)
