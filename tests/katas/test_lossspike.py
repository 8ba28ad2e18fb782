"""Attacks that need torch, on the first kata."""

from pathlib import Path

import pytest

from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.check.preflight import Preflight
from harness.course.kata import load_kata
from harness.course.notebook import apply_fix, authored
from harness.course.submission import submit
from harness.sandbox.forkserver import kernels_for

KATA = load_kata(Path(__file__).parents[2] / "katas" / "lossspike")

PATCHED_LOSS = """
import torch.nn.functional as F

cross_entropy = F.cross_entropy
F.cross_entropy = lambda *args, **kwargs: cross_entropy(*args, **kwargs).clamp(max=1.2)
"""
PATCHED_RECORDER = """
record = Recorder.record


def calm(self, step, losses, **columns):
    self._rows = [[] for _ in self._rows]
    record(self, step, [1.0, 1.0], **columns)


Recorder.record = calm
"""


@pytest.mark.slow
@pytest.mark.parametrize("patch", [PATCHED_LOSS, PATCHED_RECORDER])
def test_patches_in_the_kernel_do_not_reach_the_weights(monkeypatch, patch):
    monkeypatch.setattr(Preflight, "failure", lambda self, judge, broken: "")
    shipped = authored(KATA)
    loader = next(cell.source for cell in shipped.cells if cell.id == "data-loader")
    notebook = apply_fix(shipped, {"data-loader": f"{loader}\n{patch}"}, KATA.notebook)

    with kernels_for([KATA]) as kernels:
        done = attempt(KATA, submit(KATA, shipped, notebook, "x"), RunContext(kernels), seed=0)

    assert done.exit_code == 1
    failed = {c.name for c in done.decisive.verdict.failed}
    assert failed >= {"check_weights_carry_no_imprint", "check_reported_losses_match_the_weights"} or failed >= {
        "check_weights_carry_no_imprint",
        "check_sound_documents_are_used",
    }
