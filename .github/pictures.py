"""Draw the README's picture from real runs: python .github/pictures.py"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from fixtures.recording.journal import read_telemetry
from harness.check.examine import RunContext, run_seed
from harness.course.fixes import with_fix
from harness.course.kata import load_kata, load_proof
from harness.course.notebook import authored
from harness.sandbox.forkserver import kernels_for

HERE = Path(__file__).parent
INK = "#888888"  # readable on GitHub's light and dark page


def main() -> None:
    kata = load_kata(HERE.parent / "katas" / "lossspike")
    shipped, proof = authored(kata), load_proof(kata)
    fixed = with_fix(kata, proof, proof.reference.name, shipped)
    runs = {"as shipped": (shipped, "#D55E00"), "repaired": (fixed, "#0072B2")}
    with tempfile.TemporaryDirectory() as folder, kernels_for([kata]) as kernels:
        executions = {label: run_seed(kata, nb, 0, Path(folder, label), RunContext(kernels)) for label, (nb, _) in runs.items()}
        telemetry = {label: read_telemetry(execution.evidence) for label, execution in executions.items()}
    figure, (loss, norm) = plt.subplots(2, 1, figsize=(9, 4.2), sharex=True, height_ratios=[2, 1])
    for label, (_, colour) in runs.items():
        rows = telemetry[label]
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
