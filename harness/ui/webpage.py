"""report.html: one file that needs nothing else: checks, evidence, the curve over the healthy band and the broken run, changed cells.

And junit.xml, for whoever collects results by machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

from harness.check.attempt import Attempt
from harness.check.examine import Examined
from harness.course.kata import Kata
from harness.course.notebook import authored, diffs, sources
from harness.judging.evidence import Reported


@dataclass(frozen=True)
class Plot:
    """Points of a plot, in its pixels, and what its axes say."""

    width: ClassVar[int] = 760
    height: ClassVar[int] = 260
    margin: ClassVar[int] = 40
    yours: str
    broken: str
    healthy: str
    """A polygon; empty when the kata keeps no healthy band."""
    ticks_x: list[tuple[float, str]]
    ticks_y: list[tuple[float, str]]
    summary: str


@dataclass(frozen=True)
class Words:
    """What a page says besides what an attempt holds."""

    conclusion: str
    diagnosis: str = ""
    whys: Sequence[str] = ()
    postmortem: str = ""
    """Markdown; empty until it may be read."""
    waits: str = ""
    """What it waits for, when the run is repaired."""


def write_report(path: Path, kata: Kata, done: Attempt, words: Words) -> None:
    """Write an attempt as a page that needs nothing else."""
    _write(path, "report.html.j2", kata, done, words)


def write_fragment(path: Path, kata: Kata, done: Attempt, words: Words) -> None:
    """Write an attempt as a part of a page: what stands under a notebook's cell."""
    _write(path, "verdict.html.j2", kata, done, words)


def _write(path: Path, template: str, kata: Kata, done: Attempt, words: Words) -> None:
    page = render(
        template,
        kata=kata,
        done=done,
        conclusion=words.conclusion,
        diagnosis=words.diagnosis,
        whys=words.whys,
        postmortem=as_html(words.postmortem),
        waits=words.waits,
        plot=plot(kata, done.decisive),
        changes=diffs(sources(authored(kata)), sources(done.submission.notebook)),
    )
    path.write_text(page, encoding="utf-8", errors="replace")  # a learner's message may hold half a character


def render(template: str, **values: object) -> str:
    """Return a page, from a template of this folder: what is put into it is text, never markup."""
    import jinja2  # here: what does not write pages does not pay for it

    folder = jinja2.FileSystemLoader(Path(__file__).with_name("templates"))
    environment = jinja2.Environment(loader=folder, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(template).render(values)


def as_html(markdown: str) -> str:
    """Return a kata's own prose as HTML; markup in it is shown, not obeyed."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).render(markdown) if markdown else ""


def plot(kata: Kata, examined: Examined) -> Plot | None:
    """Lay out the run's curve over the healthy band and over the broken run; None when the run has no such curve."""
    column = kata.toml.curve
    yours = Reported(examined.execution.evidence).curve(column)
    if len(yours) < 2:
        return None
    band = _band(kata)
    broken = [(s, y) for s, y in zip(band["step"], band["broken"], strict=True) if y is not None]
    low = list(zip(band["step"], band["healthy_low"], strict=True))
    high = list(zip(band["step"], band["healthy_high"], strict=True))
    points = [*yours, *broken, *high]
    right, top = max(s for s, _ in points), max(y for _, y in points) * 1.05

    def pixels(line: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{_x(s, right):.1f},{_y(y, top):.1f}" for s, y in line)

    last, highest = yours[-1], max(yours, key=lambda point: point[1])
    return Plot(
        pixels(yours),
        pixels(broken),
        pixels([*low, *reversed(high)]),
        [(_x(s, right), f"{s:g}") for s in _round_ticks(right)],
        [(_y(y, top), f"{y:g}") for y in _round_ticks(top)],
        f"{column} over {len(yours)} steps; highest {highest[1]:.2f} at step {highest[0]}, last {last[1]:.2f} at step {last[0]}",
    )


def _band(kata: Kata) -> dict[str, list[Any]]:
    path = kata.meta / "baseline.json"
    empty: dict[str, list[Any]] = {"step": [], "healthy_low": [], "healthy_high": [], "broken": []}
    return empty | (json.loads(path.read_text(encoding="utf-8")).get("curve", {}) if path.exists() else {})


def _x(step: float, right: float) -> float:
    return Plot.margin + step / max(right, 1) * (Plot.width - 2 * Plot.margin)


def _y(value: float, top: float) -> float:
    return Plot.height - Plot.margin - value / top * (Plot.height - 2 * Plot.margin) if top > 0 else Plot.height - Plot.margin


def _round_ticks(end: float) -> list[float]:
    """About five round numbers from 0 to `end`."""
    raw = max(end, 1e-9) / 5
    size = 10 ** math.floor(math.log10(raw))
    pace = next(size * m for m in (1, 2, 5, 10) if size * m >= raw)
    return [round(pace * i, 10) for i in range(int(end / pace) + 1)]


def write_junit(path: Path, kata: Kata, done: Attempt) -> None:
    """Write an attempt as junit.xml: a suite for each seed, a case for each check."""
    root = ElementTree.Element("testsuites", name=kata.slug)
    for examined in done.examined:
        checks = examined.verdict.checks if examined.verdict else ()
        attributes = {
            "name": f"{kata.slug} seed {examined.seed}",
            "tests": str(len(checks) or 1),
            "failures": str(sum(c.status == "fail" for c in checks)),
            "errors": str(sum(c.status == "error" for c in checks) + (not examined.verdict)),
            "time": f"{examined.execution.elapsed_s:.2f}",
        }
        suite = ElementTree.SubElement(root, "testsuite", attributes)
        for check in checks:
            case = ElementTree.SubElement(suite, "testcase", classname=f"{kata.slug}.seed_{examined.seed}", name=check.name)
            if check.status != "pass":
                ElementTree.SubElement(case, "failure" if check.status == "fail" else "error", message=_xml_text(check.message))
        if not examined.verdict:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"{kata.slug}.seed_{examined.seed}", name="the notebook runs to its end"
            )
            ElementTree.SubElement(case, "error", message=_xml_text(f"{examined.execution.outcome}: {examined.execution.message}"))
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _xml_text(text: str) -> str:
    """XML has no word for most control characters, and a learner's error message may hold them."""
    return "".join(c if c >= " " or c in "\t\n" else "�" for c in text)
