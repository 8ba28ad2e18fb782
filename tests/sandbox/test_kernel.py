import re
import threading
import time
from contextlib import suppress

import psutil
import pytest

from harness.course.kata import Budget
from harness.sandbox.bubblewrap import Sandbox, find_sandbox
from harness.sandbox.forkserver import ForkServer, Kernels, imports_of
from harness.sandbox.kernel import Place, run

BUDGET = Budget(notebook_s=20.0, memory_gib=1.0)


@pytest.fixture(params=["sandboxed", "unsandboxed", "sandboxed, warm", "unsandboxed, warm"])
def kernels(request, sums):
    """All ways to run; where bubblewrap does not work, the sandboxed ones are skipped and say why."""
    sandbox, folder = find_sandbox(), sums.folder.parent
    if request.param.startswith("unsandboxed"):
        sandbox = Sandbox(False, "for the test")
    if not sandbox.why_not or not request.param.startswith("sandboxed"):
        if not request.param.endswith("warm"):
            yield Kernels(sandbox, folder)
            return
        with ForkServer(sandbox, folder, imports_of([sums])) as server:
            yield Kernels(sandbox, folder, server)
        return
    pytest.skip(sandbox.why_not)


@pytest.fixture
def execute(with_fix, tmp_path, kernels):
    def execute(budget=BUDGET, cells=None, **options):
        world = tmp_path / "world"
        world.mkdir()
        (world / "readings.json").write_text("[1.0, 2.0]")
        return run(with_fix(**(cells or {})), Place(kernels, world, tmp_path / "runs" / "run", budget), seed=3, **options)

    return execute


def left_behind(run_dir):
    """Processes that were started for a run, in whatever session they are now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("KATA_RUN", "").startswith(str(run_dir.parent)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def test_a_run_that_completes_leaves_its_evidence(execute):
    done = execute()

    assert done.outcome == "completed"
    assert (done.evidence / "total.json").read_text() == "3.0"
    assert sorted(p.name for p in done.run_dir.iterdir()) == ["evidence", "executed.ipynb", "input.ipynb", "kernel.log"]


def test_telemetry_is_followed_while_the_notebook_runs(execute):
    rows = []

    execute(cells={"diagnosis": "import time\ntime.sleep(0.5)"}, on_row=rows.append)

    assert [row.get("step") for row in rows] == [None, 0, 1]


def test_the_seed_is_a_parameter(execute):
    done = execute(cells={"diagnosis": "journal.save_artifact('seed', SEED)"})

    assert (done.evidence / "seed.json").read_text() == "3"


def test_an_error_in_a_cell_names_cell_and_line(execute):
    done = execute(cells={"total": "def total(readings):\n    return readings[7]"})

    assert (done.outcome, done.cell) == ("cell_error", "run")
    assert done.message == "IndexError: list index out of range, in the cell `def total(readings):`, line 2: return readings[7]"


def test_a_syntax_error_is_an_error_of_the_cell(execute):
    done = execute(cells={"total": "def total(:"})

    assert (done.outcome, done.cell) == ("cell_error", "total")
    assert done.message.startswith("SyntaxError: ")


def test_a_loop_that_ignores_interrupts_ends_with_the_budget(execute):
    body = "while True:\n    try:\n        while True:\n            pass\n    except KeyboardInterrupt:\n        pass"

    done = execute(budget=Budget(notebook_s=3.0, memory_gib=1.0), cells={"total": body})

    assert (done.outcome, done.cell) == ("timeout", "total")
    assert done.message == "the notebook exceeded its limit of 3 s, in the cell `while True:`"
    assert done.elapsed_s < 15


def test_the_budget_is_for_the_notebook_not_for_a_cell(execute):
    sleep = "import time\ntime.sleep(1.2)"

    done = execute(
        budget=Budget(notebook_s=3.0, memory_gib=1.0),
        cells={"parameters": f"SEED = 0\n{sleep}", "total": f"total = sum\n{sleep}", "diagnosis": sleep},
    )

    assert done.outcome == "timeout"


@pytest.mark.parametrize("end", ["import os\nos._exit(3)", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"])
def test_a_kernel_that_dies_is_said_to_have_died(execute, end):
    done = execute(cells={"total": end})

    assert (done.outcome, done.cell) == ("kernel_died", "total")


@pytest.mark.parametrize("end", ["exit()", "raise SystemExit", "raise KeyboardInterrupt"])
def test_leaving_before_the_end_is_not_completing(execute, end):
    done = execute(cells={"total": f"total = sum\n{end}", "diagnosis": "import time\ntime.sleep(2)"})

    assert done.outcome in ("cell_error", "kernel_died")


def test_asking_for_input_is_an_error_not_a_wait(execute):
    done = execute(cells={"total": "total = input()"})

    assert done.outcome == "cell_error"
    assert "StdinNotImplementedError" in done.message


def test_no_process_of_the_kernel_survives_success(execute):
    done = execute()

    assert left_behind(done.run_dir) == []


FORK = """
import os
if os.fork() == 0:
    os.setsid()
    import time
    time.sleep(3)
    open("late.txt", "w").write("edited after the end")
    os._exit(0)
"""


@pytest.mark.parametrize("end", ["", "os._exit(0)"])
def test_a_child_that_left_the_session_dies_with_the_kernel(execute, end):
    done = execute(cells={"diagnosis": FORK + end})

    assert left_behind(done.run_dir) == []
    time.sleep(3.5)
    assert not (done.evidence / "late.txt").exists()


def test_a_run_that_outgrows_its_memory_is_ended(execute):
    done = execute(
        budget=Budget(notebook_s=20.0, memory_gib=0.3), cells={"total": "import time\nkept = bytearray(600 * 2**20)\ntime.sleep(15)"}
    )

    assert done.outcome == "out_of_memory"
    assert re.fullmatch(r"the run used 0\.[3-7] GiB of memory; its limit is 0\.3 GiB, in the cell `.*`", done.message)


def test_memory_beyond_the_address_space_is_out_of_memory(execute):
    done = execute(cells={"total": "kept = bytearray(8 * 2**30)"})

    assert done.outcome == "out_of_memory"


def test_a_file_beyond_the_cap_is_an_error_of_the_cell(execute):
    done = execute(cells={"total": "with open('x', 'wb') as f:\n    f.truncate(400 * 2**20)"})

    assert done.outcome == "cell_error"
    assert "File too large" in done.message


def test_a_run_that_fills_the_disk_is_ended(execute):
    body = "for i in range(60):\n    with open(f'{i}', 'wb') as f:\n        f.write(bytes(100 * 2**20))"

    done = execute(cells={"total": body})

    assert done.outcome == "out_of_disk"


def test_a_flood_of_output_is_cut_off_and_said_to_be(execute):
    done = execute(cells={"total": "total = sum\nfor _ in range(200):\n    print('x' * 100_000)"})

    assert done.outcome == "completed"
    executed = (done.run_dir / "executed.ipynb").read_text()
    assert len(executed) < 6_000_000
    assert "[output cut off here: the notebook printed over 5000000 characters]" in executed


def test_a_stop_kills_the_kernel_and_says_cancelled(execute, tmp_path):
    stop = threading.Event()
    threading.Timer(2.0, stop.set).start()
    started = time.monotonic()

    done = execute(cells={"total": "import time\ntime.sleep(60)"}, stop=stop)

    assert done.outcome == "cancelled"
    assert time.monotonic() - started < 45, "the cell would have slept for 60 s"


def test_the_memory_that_a_run_held_is_measured(execute):
    done = execute(cells={"diagnosis": "import time\nkept = bytearray(300 * 2**20)\ntime.sleep(1.5)"})

    assert 0.3 < done.peak_memory_gib < 0.6


def test_memory_errors_are_out_of_memory(execute):
    assert execute(cells={"total": "raise MemoryError('8 GiB')"}).outcome == "out_of_memory"


def test_a_kernel_stands_in_its_own_folder(execute):
    done = execute(cells={"diagnosis": "from pathlib import Path\nPath('here.txt').write_text('')"})

    assert (done.evidence / "here.txt").exists()


def test_a_folder_that_was_exchanged_for_a_link_is_not_followed(execute, tmp_path):
    (tmp_path / "stolen").mkdir()
    (tmp_path / "stolen" / "total.json").write_text("3.0")
    body = f"import os, shutil\nhere = os.environ['KATA_RUN']\nshutil.rmtree(here)\nos.symlink({str(tmp_path / 'stolen')!r}, here)"

    done = execute(cells={"diagnosis": body})

    assert list(done.evidence.iterdir()) == []
