import os
import threading
import time

import pytest

from harness.kata import Budget
from harness.kernel import run

BUDGET = Budget(notebook_s=20.0, memory_gib=1.0)


@pytest.fixture
def execute(with_fix, tmp_path):
    def execute(budget=BUDGET, **options):
        cells = options.pop("cells", {})
        world = tmp_path / "world"
        world.mkdir()
        (world / "readings.json").write_text("[1.0, 2.0]")
        return run(with_fix(**cells), tmp_path / "run", seed=3, world=world, budget=budget, **options)

    return execute


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return open(f"/proc/{pid}/stat").read().split()[2] != "Z" if os.path.exists(f"/proc/{pid}") else True


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
    done = execute(cells={"diagnosis": "journal.exhibit('seed', SEED)"})

    assert (done.evidence / "seed.json").read_text() == "3"


def test_an_error_in_a_cell_names_cell_and_line(execute):
    done = execute(cells={"total": "def total(readings):\n    return readings[7]"})

    assert (done.outcome, done.cell) == ("cell_error", "run")
    assert done.message == "IndexError: list index out of range, in cell `total`, line 2: return readings[7]"


def test_a_syntax_error_is_an_error_of_the_cell(execute):
    done = execute(cells={"total": "def total(:"})

    assert (done.outcome, done.cell) == ("cell_error", "total")
    assert done.message.startswith("SyntaxError: ")


def test_a_loop_that_ignores_interrupts_ends_with_the_budget(execute):
    body = "while True:\n    try:\n        while True:\n            pass\n    except KeyboardInterrupt:\n        pass"

    done = execute(budget=Budget(notebook_s=3.0, memory_gib=1.0), cells={"total": body})

    assert (done.outcome, done.cell) == ("timeout", "total")
    assert done.message == "the notebook used up its 3 s"
    assert done.elapsed_s < 8


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
    done = execute(cells={"diagnosis": "import os\njournal.exhibit('pid', os.getpid())"})

    assert not alive(int((done.evidence / "pid.json").read_text()))


def test_a_stop_kills_the_kernel_and_says_cancelled(execute, tmp_path):
    stop = threading.Event()
    threading.Timer(2.0, stop.set).start()
    started = time.monotonic()

    done = execute(cells={"total": "import time\ntime.sleep(60)"}, stop=stop)

    assert done.outcome == "cancelled"
    assert time.monotonic() - started < 10


def test_memory_errors_are_out_of_memory(execute):
    assert execute(cells={"total": "raise MemoryError('8 GiB')"}).outcome == "out_of_memory"
