"""Trouble in one of two ranks ends the run, within the budget, with a verdict that names the rank, and leaves nothing behind."""

import re
from pathlib import Path

import psutil
import pytest

from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.course.kata import load_kata
from harness.course.notebook import apply_fix, authored
from harness.course.submission import submit
from harness.sandbox.forkserver import kernels_for

KATA = load_kata(Path(__file__).parents[2] / "katas" / "twogpus")
STEP = "        optimizer.zero_grad()\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (
            "import os; os.kill(os.getpid(), 9)",
            r"RankDied: rank 1 was killed by SIGKILL; rank 0 wrote step (28|29) last; rank 1 wrote step 29 last",
        ),
        ("import time; time.sleep(600)", "RanksHang: no rank has written a row for "),
    ],
)
def test_trouble_in_a_rank_ends_in_a_verdict_that_names_it(trouble, words, runs):
    shipped = authored(KATA)
    worker = next(cell.source for cell in shipped.cells if cell.id == "worker")
    assert worker.count(STEP) == 1
    notebook = apply_fix(
        shipped, {"worker": worker.replace(STEP, f"{STEP}        if rank == 1 and step == 30:\n            {trouble}\n")}, KATA.notebook
    )

    with kernels_for([KATA]) as kernels:
        done = attempt(KATA, submit(KATA, shipped, notebook, "x"), RunContext(kernels), seed=0)

    execution = done.examined[0].execution
    assert done.exit_code == 1
    assert (execution.outcome, execution.cell) == ("cell_error", "run")
    assert re.match(words, execution.message)
    assert execution.elapsed_s < KATA.toml.budget.notebook_s
    assert [p for p in psutil.process_iter() if str(runs) in " ".join(_environment(p))] == []


def _environment(process):
    try:
        return process.environ().values()
    except psutil.Error:
        return []
