"""What a learner's notebook could try instead of repairing the run. None of it may pass, and none may break the judge."""

import io
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from fixtures.seeds import HELD_OUT
from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.check.preflight import Preflight
from harness.course.notebook import authored
from harness.course.submission import submit
from harness.sandbox.bubblewrap import find_sandbox
from harness.ui import report
from harness.ui.view import Line, view_of
from harness.ui.webpage import write_report


@pytest.fixture
def check(sums, with_fix, kernels, monkeypatch):
    """Check the toy notebook with cells replaced, on the public seed alone; return the attempt."""

    # The preflight holds here, and costs two runs a test.
    monkeypatch.setattr(Preflight, "failure", lambda self, judge, broken: "")

    def check(fix=None, seed=0, **cells):
        submission = submit(sums, authored(sums), with_fix(fix, **cells), "x.ipynb")
        return attempt(sums, submission, RunContext(kernels), seed=seed)

    return check


@pytest.fixture
def answer(check):
    """The right total of the public seed, as an honest run leaves it."""
    done = check("leave-the-marker-out")
    assert done.fixed
    return json.loads((done.folder / "seed-0" / "evidence" / "total.json").read_text())


def refused(done):
    return done.exit_code == 1 and [c.name for c in done.decisive.verdict.failed] == ["check_the_total_is_right"]


def test_a_patched_recorder_changes_the_log_and_not_the_verdict(check):
    patch = """
from fixtures.recording.journal import Journal

write = Journal.write
Journal.write = lambda self, **row: write(self, **row | {"train_loss": 0.0})
"""

    assert refused(check(total=f"{patch}\ndef total(readings):\n    return sum(readings)"))


def test_patched_libraries_stay_in_the_kernel(check):
    patch = """
import builtins
import fixtures.recording.artifacts
fixtures.recording.artifacts.read_json = lambda folder, name: 0.0
builtins.abs = lambda x: 0.0
"""

    assert refused(check(total=f"{patch}\ndef total(readings):\n    return 12345.0"))


def test_evidence_written_by_hand_is_judged_like_any_other(check):
    by_hand = """
rows = "".join(json.dumps({"step": i, "train_loss": 1.0}) + "\\n" for i in range(20))
(journal.folder / "telemetry.jsonl").write_text(rows)
(journal.folder / "total.json").write_text("60.0")
"""

    assert refused(check(diagnosis=by_hand))


def test_evidence_edited_after_the_end_comes_too_late(check, answer):
    late = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(0.7)
    while True:
        (journal.folder / "total.json").write_text("{answer}")
        time.sleep(0.01)
"""

    assert refused(check(diagnosis=late))


@pytest.mark.parametrize("link", ["os.symlink", "os.link", "shutil.copy"])
def test_evidence_stolen_from_an_earlier_run(check, answer, runs, link):
    if not find_sandbox().sandboxed:
        pytest.skip("other runs are out of sight only in the sandbox")
    stolen = runs / "sums" / "0001" / "seed-0" / "evidence" / "total.json"
    assert stolen.exists()
    body = f"import os, shutil\n(journal.folder / 'total.json').unlink()\n{link}({str(stolen)!r}, journal.folder / 'total.json')"

    done = check(diagnosis=body)

    assert done.exit_code == 1
    assert not done.fixed


def test_the_answers_are_not_there_in_the_cage(check, sums):
    if not find_sandbox().sandboxed:
        pytest.skip("the answers are out of sight only in the sandbox")
    repository = Path(__file__).parent.parent
    hidden = [sums.meta / "scene.py", repository / "katas" / "lossspike" / ".meta" / "scene.py", repository / ".git" / "HEAD"]
    hidden += [repository / "fixtures" / "faults" / "text.py", repository / "tests" / "conftest.py"]
    assert all(path.exists() for path in hidden if ".git" not in path.parts)
    body = f"from pathlib import Path\njournal.save_artifact('seen', [p for p in {[str(p) for p in hidden]} if Path(p).exists()])"

    done = check(diagnosis=body)

    assert json.loads((done.folder / "seed-0" / "evidence" / "seen.json").read_text()) == []


@pytest.mark.usefixtures("known_held_out_seeds")
@pytest.mark.parametrize("number", ["SEED", "number_of(SEED)"])
def test_a_copy_of_the_scene_draws_another_scene_than_the_held_out_one(check, number, sums):
    if not find_sandbox().sandboxed:
        pytest.skip("the key is out of sight only in the sandbox")
    scene = (sums.meta / "scene.py").read_text()
    body = f"from fixtures.seeds import number_of\n{scene}\n\ndef total(readings):\n    return truth({number})['total']"

    assert check(total=body, seed=0).fixed, "a practice seed can be worked out"
    done = check(total=body, seed=HELD_OUT.start)
    if number == "SEED":
        assert refused(done)
    else:
        assert "OSError" in done.examined[0].execution.message


@pytest.mark.parametrize("target", ["kata", "repository", "world", "home"])
def test_nothing_but_the_own_folder_can_be_written_to_in_the_cage(check, sums, target):
    if not find_sandbox().sandboxed:
        pytest.skip("the machine is read-only only in the sandbox")
    folder = {
        "kata": repr(str(sums.folder)),
        "repository": repr(str(Path(__file__).parent.parent)),
        "world": "str(scene.open(SEED))",
        "home": repr("/etc"),
    }
    body = f"from pathlib import Path\n(Path({folder[target]}) / 'planted').write_text('x')"

    done = check(diagnosis=body)

    assert done.examined[0].execution.outcome == "cell_error"
    assert "Read-only file system" in done.examined[0].execution.message


def test_there_is_no_network_in_the_cage(check):
    if not find_sandbox().sandboxed:
        pytest.skip("the network is cut only in the sandbox")
    done = check(diagnosis="import socket\nsocket.create_connection(('127.0.0.1', 22), timeout=2)")

    assert done.examined[0].execution.outcome == "cell_error"


@pytest.mark.parametrize(
    "value",
    [
        "float('nan')",
        "float('inf')",
        "-float('inf')",
        "None",
        "True",
        "10 ** 400",
        "'57.3'",
        "[57.3]",
        "{'total': 57.3}",
        "type('Yes', (float,), {'__eq__': lambda a, b: True, '__abs__': lambda a: 0.0, '__sub__': lambda a, b: 0.0})(3.0)",
    ],
)
def test_what_is_no_right_number_is_refused(check, value):
    assert refused(check(total=f"def total(readings):\n    return {value}"))


@pytest.mark.parametrize(
    "body",
    [
        "(journal.folder / 'total.json').unlink()",
        "(journal.folder / 'total.json').write_text('[' * 100_000)",
        "(journal.folder / 'total.json').write_bytes(bytes(range(256)))",
        "import pickle; (journal.folder / 'total.json').write_bytes(pickle.dumps(57.3))",
        "(journal.folder / 'total.json').unlink(); (journal.folder / 'total.json').mkdir()",
        "import os; (journal.folder / 'total.json').unlink(); os.mkfifo(journal.folder / 'total.json')",
        "import os; (journal.folder / 'total.json').unlink(); os.symlink('/dev/zero', journal.folder / 'total.json')",
        "import os; os.chmod(journal.folder / 'total.json', 0)",
        "import shutil; shutil.rmtree(journal.folder, ignore_errors=True)",
    ],
)
def test_evidence_that_cannot_be_read_is_refused_not_crashed_on(check, body):
    done = check(diagnosis=body)

    assert done.exit_code == 1
    assert not done.fixed


@pytest.mark.parametrize(
    "body",
    [
        "import os; log.unlink(); os.mkfifo(log)",
        "import os; log.unlink(); os.symlink('/dev/zero', log)",
        "log.write_text('[' * 100_000 + '\\n')",
        'log.write_text(\'{"step": 0, "train_loss": 1.7e308}\\n{"step": 1, "train_loss": -1.7e308}\\n\')',
        'log.write_text(\'{"num_steps": "many"}\\n{"step": 10000000000000000000000}\\n\')',
        'log.write_text(\'{"step": 0, "train_loss": 1e999, "\\\\u001b[2J": 3}\\n\' * 3)',
    ],
)
def test_a_log_that_is_none_neither_stops_nor_breaks_the_judge(check, sums, tmp_path, body):
    done = check("leave-the-marker-out", diagnosis=f"log = journal.folder / 'telemetry.jsonl'\n{body}\nimport time; time.sleep(0.5)")

    assert done.exit_code == 1
    assert [c.name for c in done.decisive.verdict.failed] == ["check_every_reading_is_logged"]
    out = io.StringIO()
    view = view_of(sums, done)
    report.show_examined(Console(file=out), sums, done.decisive, done.public_seed)
    report.show_conclusion(Console(file=out), view)
    write_report(tmp_path / "report.html", view)
    assert "\x1b" not in out.getvalue()


def test_half_a_character_does_not_break_the_page(check, sums, tmp_path):
    view = replace(view_of(sums, check()), conclusion=Line("caf\ud8e9", "bad"))
    write_report(tmp_path / "report.html", view)

    assert "caf?" in (tmp_path / "report.html").read_text()


def test_an_early_exit_is_not_a_pass(check):
    assert check("leave-the-marker-out", diagnosis="import os\nos._exit(0)").exit_code == 3


def test_pasted_outputs_are_not_a_run(sums, with_fix, kernels):
    notebook = with_fix()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [{"output_type": "stream", "name": "stdout", "text": "all checks pass"}], 1

    done = attempt(sums, submit(sums, authored(sums), notebook, "x.ipynb"), RunContext(kernels), seed=0)

    assert done.exit_code == 1


def test_a_cell_cannot_choose_its_seed(check):
    done = check("leave-the-marker-out", seed=5, parameters="SEED = 0")

    assert done.fixed
    assert "5" in (done.folder / "seed-5" / "executed.ipynb").read_text().split("# Parameters")[1][:40]


def test_two_attempts_at_once_do_not_interfere(check):
    done = []
    threads = [threading.Thread(target=lambda: done.append(check("leave-the-marker-out"))) for _ in range(2)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(d.number for d in done) == [1, 2]
    assert all(d.fixed for d in done)
    assert time.monotonic() - started < 30
