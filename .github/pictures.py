"""Draw the README's picture from real runs: python .github/pictures.py"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.pyplot as plt

from fixtures.recording.journal import read_telemetry
from harness.course.fixes import read_fix
from harness.course.kata import load_kata
from harness.course.notebook import apply_fix, authored
from harness.proof.variants import Bench, cached_run
from harness.sandbox.bubblewrap import find_sandbox

HERE = Path(__file__).parent
INK = "#888888"  # readable on GitHub's light and dark page


def main() -> None:
    kata = load_kata(HERE.parent / "katas" / "lossspike")
    bench = Bench(kata, ThreadPoolExecutor(1), find_sandbox())
    shipped = authored(kata)
    fixed = apply_fix(shipped, read_fix(kata, "quarantine-by-hash"), kata.fix_path("quarantine-by-hash"))
    runs = {"as shipped": (shipped, "#D55E00"), "repaired": (fixed, "#0072B2")}
    figure, (loss, norm) = plt.subplots(2, 1, figsize=(9, 4.2), sharex=True, height_ratios=[2, 1])
    for label, (notebook, colour) in runs.items():
        rows = read_telemetry(cached_run(bench, notebook, 0, threading.Event()).evidence)
        steps = [row["step"] for row in rows]
        loss.plot(steps, [row["train_loss"] for row in rows], color=colour, linewidth=1.2, label=label)
        norm.plot(steps, [row.get("grad_norm") for row in rows], color=colour, linewidth=1)
    loss.set_ylabel("train_loss (nats)")
    norm.set_ylabel("grad_norm (L2)")
    norm.set_xlabel("step (optimizer updates)")
    loss.legend(frameon=False, labelcolor=INK)
    for axis in (loss, norm):
        axis.tick_params(colors=INK)
        axis.yaxis.label.set_color(INK)
        axis.xaxis.label.set_color(INK)
        for side, spine in axis.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(INK)
    figure.tight_layout()
    figure.savefig(HERE / "lossspike.png", dpi=120, transparent=True)


if __name__ == "__main__":
    main()
