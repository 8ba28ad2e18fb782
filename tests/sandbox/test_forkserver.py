"""A forked kernel is as a fresh one would be, and the server that forks it may die."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil
import pytest

from harness.course.kata import Budget
from harness.sandbox.bubblewrap import Sandbox
from harness.sandbox.forkserver import ForkServer, Kernels, gone, imports_of, kernels_for
from harness.sandbox.kernel import Place, run

BUDGET = Budget(notebook_s=20.0, memory_gib=1.0)


@pytest.fixture
def execute(with_fix, kernels, tmp_path):
    """Run the toy notebook with a last cell of the test's; return what the cell left as `said`, and the run."""
    world = tmp_path / "world"
    world.mkdir()
    (world / "readings.json").write_text("[1.0, 2.0]")
    runs = iter(range(9))

    def execute(body, kernels=kernels):
        folder = tmp_path / "runs" / str(next(runs))
        done = run(with_fix(diagnosis=body), Place(kernels, world, folder, BUDGET), seed=0)
        assert done.outcome == "completed", done.message
        said = done.evidence / "said.json"
        return json.loads(said.read_text()) if said.exists() else None, done

    return execute


def say(expression, imports="import os"):
    return f"{imports}\njournal.save_artifact('said', {expression})"


PARENT = "open(f'/proc/{os.getppid()}/cmdline').read().split(chr(0))"


def test_kernels_are_forked(execute):
    assert "serve" in execute(say(PARENT))[0]


def test_kernels_of_their_own_are_not(execute, sums):
    with kernels_for([sums], cold=True) as cold:
        assert "serve" not in execute(say(PARENT), cold)[0]


def test_each_kernel_is_a_session_of_its_own(execute):
    sessions = [execute(say("os.getsid(0)"))[0] for _ in range(2)]

    assert len(set(sessions)) == 2
    assert execute(say("os.getsid(0) == os.getppid()"))[0]


def test_no_random_state_is_shared(execute):
    drawn = "[float(numpy.random.random()), random.random()]"
    first, second = (execute(say(drawn, "import numpy, random"))[0] for _ in range(2))

    assert all(a != b for a, b in zip(first, second, strict=True))


OPEN = """
import os

def opened(pid):
    return {os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd") if os.path.exists(f"/proc/{pid}/fd/{n}")}

parent = os.getppid()
server = int(open(f"/proc/{parent}/stat").read().rpartition(")")[2].split()[1])
"""


def test_a_forked_kernel_shares_no_descriptor_with_its_server(execute):
    body = say("{'own': opened(os.getpid()) & (opened(parent) | opened(server)), 'server': opened(server)}", OPEN)

    said, _ = execute(body)

    assert any("socket" in name for name in said["server"])
    assert not any("socket" in name or "pipe" in name for name in said["own"])


def test_a_forked_kernel_has_the_environment_of_a_fresh_one(execute, sums):
    names = "{k: v for k, v in os.environ.items() if not any(v.startswith(s) for s in ('/tmp', '/var')) and k not in ('PWD', 'OLDPWD')}"
    with kernels_for([sums], cold=True) as cold:
        fresh = execute(say(names), cold)[0]

    assert execute(say(names))[0] == fresh


def test_figures_are_shown_in_the_notebook(execute):
    _, done = execute("import matplotlib.pyplot as plt\nplt.plot([0, 1])\nplt.show()")

    assert "image/png" in (done.run_dir / "executed.ipynb").read_text()


def test_a_kernel_that_ends_does_not_take_another_with_it(execute):
    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(execute, "import time\ntime.sleep(10)")
        short = pool.submit(execute, "pass")

        assert short.result()[1].elapsed_s < 10 < long.result()[1].elapsed_s


def test_when_the_server_is_killed_kernels_start_on_their_own(execute):
    kill = "import signal\nserver = int(open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1])\nos.kill(server, signal.SIGKILL)"
    with suppress(AssertionError):
        execute(f"import os\n{kill}\nimport time\ntime.sleep(1)")

    assert "serve" not in execute(say(PARENT))[0]


def test_a_process_with_threads_is_not_forked(execute, sums, tmp_path, monkeypatch):
    (tmp_path / "threaded.py").write_text("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n")
    monkeypatch.setattr("harness.sandbox.forkserver.plain_environment", lambda: {"PYTHONPATH": str(tmp_path)})
    sandbox = Sandbox(False, "for the test")
    with ForkServer(sandbox, sums.folder.parent, ["threaded"]) as server:
        assert "serve" not in execute(say(PARENT), Kernels(sandbox, sums.folder.parent, server))[0]


def test_nothing_is_left_when_the_server_is_closed(sums):
    before = psutil.Process().children(recursive=True)
    with kernels_for([sums]) as kernels:
        family = [p for p in psutil.Process().children(recursive=True) if p not in before]
        folders = kernels.server.workspace.folders

    assert family
    assert gone(family, 10.0)
    assert not any(folder.exists() for folder in folders)


def test_the_server_imports_what_notebooks_import(sums):
    assert imports_of([sums]) == ["json", "fixtures", "fixtures.recording.journal"]


def test_runs_side_by_side_share_a_server(execute):
    ready = threading.Barrier(4)

    def one(_):
        ready.wait()
        return execute(say("os.getpid()"))[0]

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(one, range(4)))) == 4
