"""The benchmark as a page: tables in Markdown and a plot."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from harness.bench.benchmark import GROWTH_RUNS, POOL_RUNS, Benchmark, as_json

PARTS = ("start", "import", "training", "judge", "report")
COLOURS = ("#bbbbbb", "#88aadd", "#2b6cb0", "#e08a1e", "#7a7a7a")
"""Order and labels distinguish them without colour."""


def write(found: Benchmark, folder: Path) -> Path:
    """Write benchmark.md, benchmark.png and benchmark.json; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark.json").write_text(as_json(found), encoding="utf-8")
    _plot(found, folder / "benchmark.png")
    page = folder / "benchmark.md"
    page.write_text("\n".join(_page(found)) + "\n", encoding="utf-8")
    return page


def goals(found: Benchmark) -> list[tuple[str, str, str, bool]]:
    """Return each promise, its bound, the measured value and whether it holds, all from this one run."""
    script = found.way("script").median
    warm, cold = (found.way(name).median / script for name in ("check, warm", "check, cold"))
    pool = found.pool_s / (found.pool_training_s / found.jobs)
    ten, hundred = (found.growth.per_run(runs) for runs in GROWTH_RUNS[1:])
    memory = found.growth.resident_mib[-1] / found.growth.resident_mib[GROWTH_RUNS[1] - 1]
    rows = [
        ("a warm re-check of one seed", "≤ 0.60 × the script", f"{warm:.2f} ×", warm <= 0.6),
        ("a cold check of one seed, as a command", "≤ 1.17 × the script", f"{cold:.2f} ×", cold <= 1.17),
        (f"{POOL_RUNS} runs, {found.jobs} in parallel", f"≤ 1.15 × (training core-seconds ÷ {found.jobs})", f"{pool:.2f} ×", pool <= 1.15),
        ("time of a run after 100 runs to that after 10", "within 10 %", f"{hundred / ten:.2f} ×", abs(hundred / ten - 1) <= 0.1),
        ("memory after 100 runs to that after 10", "within 10 %", f"{memory:.2f} ×", abs(memory - 1) <= 0.1),
    ]
    for slug, proven in found.proofs.items():
        rows.append((f"proof of `{slug}`, nothing cached", "≤ 120 s", f"{proven.seconds:.0f} s", proven.seconds <= 120))
    if found.proofs:
        mean = statistics.fmean(proven.seconds for proven in found.proofs.values())
        rows.append(("mean of these proofs", "≤ 60 s", f"{mean:.0f} s", mean <= 60))
        rows.append(
            (f"proofs of all {len(found.proofs)} katas, everything cached", "≤ 10 s", f"{found.cached_s:.1f} s", found.cached_s <= 10)
        )
    return rows


def _page(found: Benchmark) -> Iterator[str]:
    yield "# Benchmark"
    yield ""
    yield "Written by `make bench` from one session in which the ways take turns. Ratios hold on other machines, seconds do not."
    yield ""
    yield from (f"- {what}: {value}" for what, value in found.machine.items())
    yield ""
    yield "![Where the time of a check goes, and time and memory over 100 runs](benchmark.png)"
    yield ""
    yield "| promise | bound | measured | |"
    yield "|---|---|---|---|"
    yield from (f"| {what} | {bound} | {value} | {'holds' if holds else '**missed**'} |" for what, bound, value, holds in goals(found))
    yield ""
    runs = len(found.ways[0].seconds)
    yield f"## One run of `{found.kata}`, repaired: seconds, median of {runs} (lowest to highest)"
    yield ""
    yield "*script* is `python` on the notebook's cells, *papermill* the command of that name; neither judges. *cold* is `make check` on one seed,"
    yield "*warm* is what `make watch` does after a save. *training* is the notebook's cells with their figures; imports overlap with other work."
    yield ""
    yield f"| | whole | ratio to script | {' | '.join(PARTS)} |"
    yield f"|---|---|---|{'---|' * len(PARTS)}"
    for way in found.ways:
        parts = " | ".join(f"{way.part(name):.2f}" for name in PARTS)
        spread = f"{min(way.seconds):.2f} to {max(way.seconds):.2f}"
        yield f"| {way.name} | {way.median:.2f} ({spread}) | {way.median / found.way('script').median:.2f} | {parts} |"
    yield ""
    yield f"## {GROWTH_RUNS[-1]} runs of `{found.growth_of}` through one process that forks"
    yield ""
    yield "| after | time of a run (median of the 20 around it) | memory of the harness and its children |"
    yield "|---|---|---|"
    for number in GROWTH_RUNS:
        yield f"| {number} | {found.growth.per_run(number):.2f} s | {found.growth.resident_mib[number - 1]:.0f} MiB |"
    if found.proofs:
        yield ""
        yield "## Where the time of a proof goes"
        yield ""
        yield f"| kata | whole | runs | runs ÷ {found.jobs} cores | share of the whole |"
        yield "|---|---|---|---|---|"
        for slug, proven in found.proofs.items():
            floor = proven.runs_s / found.jobs
            yield f"| {slug} | {proven.seconds:.0f} s | {proven.runs} | {floor:.0f} s | {floor / proven.seconds:.0%} |"


def _plot(found: Benchmark, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, (bars, growth) = plt.subplots(1, 2, figsize=(11, 3.6), width_ratios=(3, 2), layout="constrained")
    names = [way.name for way in found.ways]
    left = [0.0] * len(names)
    for part, colour in zip(PARTS, COLOURS, strict=True):
        widths = [way.part(part) for way in found.ways]
        bars.barh(names, widths, left=left, color=colour, label=part, edgecolor="white")
        left = [a + b for a, b in zip(left, widths, strict=True)]
    bars.invert_yaxis()
    bars.set_xlabel("seconds, median")
    bars.set_title(f"one run of {found.kata}: where the time goes")
    bars.legend(ncols=len(PARTS), fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
    numbers = range(1, len(found.growth.seconds) + 1)
    growth.plot(numbers, found.growth.seconds, ".", color=COLOURS[2], label="seconds a run")
    growth.axhline(statistics.median(found.growth.seconds), color=COLOURS[2], lw=0.8)
    growth.set_ylim(bottom=0)
    growth.set_xlabel(f"run of {found.growth_of}")
    growth.set_ylabel("seconds a run (dots)")
    memory = growth.twinx()
    memory.plot(numbers, found.growth.resident_mib, "-", color=COLOURS[3])
    memory.set_ylabel("MiB held (line)")
    memory.set_ylim(0, 1.6 * max(found.growth.resident_mib))
    growth.set_title("time and memory over runs")
    figure.savefig(path, dpi=130)
    plt.close(figure)
