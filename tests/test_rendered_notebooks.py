"""Every notebook that the lab can render, as shipped and with each known fix, reads like code that a linter accepts."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.course.fixes import with_fix
from harness.course.kata import all_katas, load_proof
from harness.course.notebook import authored, dumps

KATAS = all_katas(Path(__file__).parent.parent / "katas")
RULES = "F,E7,E9,B,PLE"
IGNORED = "B007,B018,B905,E731,E741"
"""What good notebook code does: unused loop variables, a bare last expression, zip without strict, lambdas, short names."""


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.slug)
def test_rendered_notebooks_are_linted(kata, tmp_path):
    shipped, proof = authored(kata), load_proof(kata)
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "notebook.ipynb").write_text(dumps(shipped))
    for fix in proof.fix:
        (tmp_path / f"{fix.name}.ipynb").write_text(dumps(with_fix(kata, proof, fix.name, shipped)))

    # A repair may leave an import or a variable of the shipped notebook without use.
    assert findings(tmp_path, IGNORED + ",F401,F841") + findings(tmp_path / "shipped", IGNORED) == ""


def findings(folder, ignored):
    """Return what ruff says of the notebooks below a folder."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--quiet", "--no-cache", "--output-format", "concise"]
    return subprocess.run(
        [*command, f"--select={RULES}", f"--ignore={ignored}", str(folder)], capture_output=True, text=True, check=False
    ).stdout
