"""Behaviour is judged by calling the learner's functions, in their kernel, on inputs that are there only then."""

import math
import time

import pytest
from nbformat.v4 import new_code_cell

from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.check.preflight import Preflight
from harness.course.errors import KataError
from harness.course.kata import load_kata
from harness.course.notebook import apply_fix, authored
from harness.course.scene_files import inputs_for
from harness.course.submission import submit
from harness.sandbox.engine import Session


@pytest.fixture
def doubles(toys):
    return load_kata(toys / "doubles")


@pytest.fixture
def check(doubles, kernels, monkeypatch):
    """Check the notebook with another body of the cell `double`, on the public seed alone."""
    # The preflight holds here, and costs two runs a test.
    monkeypatch.setattr(Preflight, "failure", lambda self, judge, broken: "")

    def check(body):
        shipped = authored(doubles)
        submission = submit(doubles, shipped, apply_fix(shipped, {"double": body}, doubles.notebook), "x.ipynb")
        return attempt(doubles, submission, RunContext(kernels), seed=0)

    return check


def test_right_behaviour_passes_without_telemetry_and_curve(check):
    done = check("def double(n):\n    return n * 2")

    assert done.exit_code == 0
    assert (done.folder / "seed-0" / "evidence" / "telemetry.jsonl").read_text() == ""


def test_a_function_of_the_learners_may_have_any_name(check):
    names = ["answer", "probe", "inputs", "fixtures", "np", "torch", "json"]
    helpers = "\n".join(f"def {name}(n):\n    return n * 2" for name in names)

    assert check(f"{helpers}\n\ndef double(n):\n    return answer(n)").exit_code == 0


def test_wrong_behaviour_on_hidden_inputs_fails(check):
    done = check("def double(n):\n    return {1: 2, 4: 8}.get(n, 0)")

    assert done.exit_code == 1
    assert done.decisive.verdict.checks[0].message == "8 of 8 answers are wrong"


def test_a_name_that_is_gone_is_said_in_plain_words(check):
    done = check("def twice(n):\n    return n * 2")

    assert done.exit_code == 1
    assert done.examined[0].execution.cell == "probe"
    assert "the judge calls `double`, which the notebook does not define any more; keep the name" in done.examined[0].execution.message


def test_a_function_that_raises_when_it_is_asked_is_shown_with_its_line(check):
    done = check("def double(n):\n    raise ValueError('no')")

    assert done.examined[0].execution.message == "ValueError: no, in the cell `def double(n):`, line 2: raise ValueError('no')"


@pytest.mark.parametrize("answer", ["'many'", "float('nan')", "None", "[n, n]"])
def test_an_answer_of_another_kind_is_refused_not_crashed_on(check, answer):
    done = check(f"def double(n):\n    return {answer}")

    assert done.exit_code == 1
    assert not done.fixed


def test_what_is_asked_is_not_there_before_the_last_cell(check):
    body = "import os\nfrom pathlib import Path\nassert not Path(os.environ['KATA_PROBE']).exists()\ndouble = lambda n: n * 2"

    assert check(body).fixed


def test_inputs_differ_from_seed_to_seed_and_a_kata_without_probe_has_none(doubles, sums):
    first, second = ((inputs_for(doubles, seed) / "numbers.json").read_text() for seed in (0, 1))

    assert first != second
    assert inputs_for(sums, 0) is None


def test_a_scene_without_inputs_is_named(doubles):
    scene = doubles.meta / "scene.py"
    scene.write_text(scene.read_text().replace("def inputs", "def input_"))

    with pytest.raises(KataError, match=r"scene\.py: inputs\(0\) failed: KeyError: 'inputs'"):
        inputs_for(doubles, 0)


def test_the_cell_id_of_the_judge_is_reserved(doubles):
    notebook = doubles.meta / "notebook.py"
    notebook.write_text(notebook.read_text().replace('id="double"', 'id="probe"'))

    with pytest.raises(KataError, match="the cell id `probe` is the harness's own"):
        authored(doubles)


def test_drawing_the_questions_is_not_the_notebooks_time():
    left_while_drawing = []

    def draw(cell):
        left_while_drawing.append(session.seconds_left())
        time.sleep(0.3)

    session = Session(km=None, env={}, log=None, deadline=time.monotonic() + 20.0, before=draw)
    session.on_start(new_code_cell("answer()", id="probe"), 0)

    assert left_while_drawing == [math.inf], "nothing is killed for it"
    assert session.seconds_left() > 19.8
    assert session.waited_s >= 0.3
