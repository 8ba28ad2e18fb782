import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.course.notebook import authored
from harness.course.submission import submit
from harness.ui import lab_notebook
from harness.ui.view import view_of


@pytest.fixture
def keep(sums, with_fix, kernels):
    """Check a notebook and return its entry of the lab notebook."""

    def keep(fix=None, added=(), **cells):
        notebook = with_fix(fix, **cells)
        notebook.cells += added
        done = attempt(sums, submit(sums, authored(sums), notebook, "x.ipynb"), RunContext(kernels), seed=0)
        lab_notebook.write(view_of(sums, done))
        return lab_notebook.read(done.folder)

    return keep


def test_an_entry_tells_hypothesis_evidence_edit_and_verdict(keep, sums):
    entry = keep(
        "clip-readings",
        added=[
            new_markdown_cell("**Hypothesis:** one reading is too large"),
            new_markdown_cell("Notes that are none."),
            new_code_cell("max([1])"),
        ],
    )

    assert entry.hypotheses == ("**Hypothesis:** one reading is too large",)
    assert entry.looked == ("max([1])",)
    assert list(entry.cells) == ["total"]
    assert not entry.fixed
    assert entry.failed == ("The total is that of the sensor's readings.",)
    assert any("off by" in line for line in entry.evidence)
    assert entry.plot


def test_what_the_katas_own_hypothesis_cell_was_filled_with_is_kept(sums, kernels):
    source = sums.meta / "notebook.py"
    source.write_text(source.read_text() + '\n# %% [markdown] id="hypothesis"\n# Before you look:\n#\n# - My hypothesis:\n')
    learner = authored(sums)
    learner.cells[-1].source = learner.cells[-1].source.replace("hypothesis:", "hypothesis: one reading is too large")

    done = attempt(sums, submit(sums, authored(sums), learner, "x.ipynb"), RunContext(kernels), seed=0)

    assert lab_notebook.write(view_of(sums, done)).hypotheses == ("- My hypothesis: one reading is too large",)


def test_a_filled_form_is_a_hypothesis_with_right_and_wrong_fields(keep):
    entry = keep(diagnosis='import json\nopen("diagnosis.json", "w").write(json.dumps({"cause": "gremlins", "first_step": None}))')

    assert entry.diagnosis == {"cause": "gremlins"}
    assert entry.guess == "cause gremlins"
    assert "cause" in entry.wrong


def test_entries_come_in_order_and_a_torn_one_is_passed_over(keep, sums, runs):
    first, second = keep(), keep("clip-readings")
    (runs / "sums" / "0003").mkdir()
    (runs / "sums" / "0003" / lab_notebook.FILE).write_text('{"run": 3, "ti')

    assert lab_notebook.entries("sums") == [first, second]


def test_edits_are_told_against_the_attempt_before(keep, sums):
    first = keep("clip-readings")
    second = keep(total="def total(readings):\n    return 0")
    third = keep(total="def total(readings):\n    return 0")

    (cell, lines), *rest = lab_notebook.edits(sums, first, None)
    assert cell == "total" and not rest
    assert any(line.startswith("+") and "min(r, 10.0)" in line for line in lines)
    assert any(line.startswith("-") and "min(r, 10.0)" in line for line in lab_notebook.edits(sums, second, first)[0][1])
    assert lab_notebook.edits(sums, third, second) == []


def test_a_run_that_broke_leaves_its_message_as_evidence(keep):
    entry = keep(total="def total(readings):\n    return 1 / 0")

    assert entry.outcomes == ("cell_error",)
    assert "ZeroDivisionError" in entry.evidence[0]
    assert entry.failed == ()
