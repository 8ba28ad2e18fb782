import io

import pytest
from rich.console import Console
from rich.progress import Progress

from harness.check.examine import Listener
from harness.ui.live import LiveRuns, Times


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def progress(clock):
    return Progress(Times(), console=Console(file=io.StringIO()), get_time=lambda: clock[0])


def test_elapsed_time_and_time_left_are_named(progress, clock):
    task = progress.add_task("public seed 0", total=None)
    clock[0] = 3.0
    assert Times().render(progress.tasks[task]).plain == "3 s"

    progress.reset(task, total=10)
    for step in range(1, 5):
        clock[0] += 1.0
        progress.update(task, completed=step)

    assert Times().render(progress.tasks[task]).plain == "4 s, about 6 s left"


def test_a_listener_hears_what_is_shown(progress, sums):
    rows = []

    class Heard(Listener):
        def on_row(self, seed, row):
            rows.append((seed, row["step"]))

    live = LiveRuns(progress, sums, 0, Heard())
    live.on_seeds([0])
    live.on_row(0, {"num_steps": 20, "step": 4, "train_loss": 2.0})

    assert rows == [(0, 4)]
    assert progress.tasks[0].fields["what"] == "step    5  train_loss 2.00"
