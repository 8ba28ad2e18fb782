"""`%kata` in a kernel as Jupyter starts it."""

import os
import subprocess
import sys
import time

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

from harness.course.fixes import read_fix
from harness.course.notebook import for_learners

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class Kernel:
    """Runs cells and keeps what they show, the last version of each display."""

    def __init__(self, folder):
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(folder), env=os.environ | {"JPY_SESSION_NAME": ""})

    def send(self, code, cell_id=None):
        message = self.client.session.msg("execute_request", {"code": code, "silent": False, "store_history": True, "allow_stdin": False})
        if cell_id:
            message["metadata"]["cellId"] = cell_id
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def outputs(self, request):
        shown, streams, seen = {}, "", []
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind in ("display_data", "update_display_data"):
                shown[content.get("transient", {}).get("display_id", len(shown))] = content["data"]
                seen.append(content["data"])
            elif kind == "stream":
                streams += content["text"]
            elif kind == "status" and content["execution_state"] == "idle":
                return shown, streams, seen

    def run(self, code, cell_id=None):
        shown, streams, seen = self.outputs(self.send(code, cell_id))
        self.seen = seen
        return "".join(d.get("text/html") or d.get("text/markdown") or "" for d in shown.values()) + streams


@pytest.fixture
def kernel(sums):
    kernel = Kernel(sums.folder)
    kernel.run("%load_ext harness")
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


def test_a_check_shows_its_progress_and_then_the_verdict(kernel, sums):
    shown = kernel.run("%kata check")

    assert "Not fixed: 1 of 2 checks fail." in shown
    assert "the total is off by" in shown
    assert "as saved at" in shown
    assert any("<progress" in data["text/html"] for data in kernel.seen)
    assert kernel.seen[-1]["text/plain"] == "Not fixed: 1 of 2 checks fail."


def test_the_saved_file_is_judged_and_cells_that_ran_otherwise_are_named(kernel, sums):
    kernel.run("def total(readings):\n    return 0", cell_id="total")
    shown = kernel.run("%kata check 0")

    assert "Not what you ran" in shown and "<code>total</code>" in shown
    assert "Changed cells" not in shown, "what was judged is the file as shipped"


def test_a_right_fix_turns_green_and_the_debrief_opens(kernel, sums):
    notebook = for_learners(sums)
    for cell in notebook.cells:
        cell.source = read_fix(sums, "leave-the-marker-out").get(cell.id, cell.source)
    nbformat.write(notebook, sums.notebook)

    shown = kernel.run("%kata check")
    assert 'class="conclusion pass"' in shown
    assert "Post-mortem" in shown
    assert "Root cause" in kernel.run("%kata debrief")
    assert "<ins>" in kernel.run("%kata diff")
    assert "✔ fixed" in kernel.run("%kata progress")


def test_a_repair_without_a_diagnosis_keeps_the_post_mortem_until_it_is_asked_for(kernel, sums):
    notebook = for_learners(sums)
    for cell in notebook.cells:
        cell.source = {**read_fix(sums, "leave-the-marker-out"), "diagnosis": "journal.save_artifact('diagnosis', {'cause': ''})"}.get(
            cell.id, cell.source
        )
    nbformat.write(notebook, sums.notebook)

    shown = kernel.run("%kata check")

    assert 'class="conclusion pass"' in shown and "Your diagnosis is still open." in shown
    assert "<summary>Post-mortem" not in shown
    assert "Root cause" in kernel.run("%kata debrief")


def test_a_second_attempt_on_the_same_file_asks_whether_it_was_saved(kernel):
    assert "has not changed" not in kernel.run("%kata check 0")
    assert "<b>The saved file has not changed since your last attempt here.</b>" in kernel.run("%kata check 0")


def test_hints_and_mistakes(kernel):
    assert "Hint 1 of 3" in kernel.run("%kata hint")
    assert "Hint 2 of 3" in kernel.run("%kata hint")
    assert "Hint 1 of 3" in kernel.run("%kata hint 1")
    assert "no hint 9" in kernel.run("%kata hint 9")
    assert "%kata progress" in kernel.run("%kata chekc")
    assert "`soon` is not a number" in kernel.run("%kata check soon")


def test_a_file_that_is_no_notebook_is_said_to_be_none(kernel, sums):
    sums.notebook.write_text("{")

    assert "Not checked." in (shown := kernel.run("%kata check")) and "is not JSON" in shown


def test_an_exams_notebook_is_checked_by_the_exams_rules(sums, runs):
    notebook = runs / "exams" / "0001" / "notebooks" / "sums" / "sums.ipynb"
    notebook.parent.mkdir(parents=True)
    nbformat.write(for_learners(sums), notebook)
    (runs / "exams" / "0001" / "exam.jsonl").write_text("")
    kernel = Kernel(notebook.parent)
    kernel.run("%load_ext harness")

    assert "only %kata check works" in kernel.run("%kata hint")
    assert "no exam is open; make exam starts one" in kernel.run("%kata check 0.8")
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


def test_an_interrupt_ends_the_check(kernel, sums):
    notebook = for_learners(sums)
    next(c for c in notebook.cells if c.id == "total").source = "import time\ntime.sleep(60)\ndef total(readings):\n    return 0"
    nbformat.write(notebook, sums.notebook)
    request = kernel.send("%kata check")
    time.sleep(4)
    kernel.manager.interrupt_kernel()

    shown, _, _ = kernel.outputs(request)
    assert "Stopped: nothing was judged." in next(iter(shown.values()))["text/html"]


def test_outside_a_notebook_the_command_line_speaks(sums):
    code = "%load_ext harness\n%kata check 0\n"
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--simple-prompt", "--no-confirm-exit"],
        input=code,
        cwd=sums.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "Not fixed: 1 of 2 checks fail." in done.stdout


def test_a_notebook_that_nbconvert_ran_is_checked_as_before(sums):
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace", str(sums.notebook)]
    subprocess.run(command, cwd=sums.folder, check=True, capture_output=True, timeout=120)

    executed = nbformat.read(sums.notebook, as_version=4)
    assert any(cell.get("outputs") for cell in executed.cells) or all(
        cell.execution_count for cell in executed.cells if cell.cell_type == "code"
    )
    assert [cell.id for cell in executed.cells] == [cell.id for cell in for_learners(sums).cells]
