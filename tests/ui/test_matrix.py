import io

import pytest
from rich.console import Console

from harness.course.kata import load_kata
from harness.ui import matrix


@pytest.fixture
def board(toys, monkeypatch):
    """A board for two katas, of which the second was never proven, and what it prints."""
    sums, doubles = load_kata(toys / "sums"), load_kata(toys / "doubles")
    expected = {"sums": (10, 12.0), "doubles": (0, float("nan"))}
    monkeypatch.setattr(matrix, "expected_runs", lambda kata: expected[kata.slug])
    out = io.StringIO()
    return matrix.Board(Console(file=out, width=120), [sums, doubles], jobs=2), sums, doubles, out


def runs(name, number):
    return [(name, seed) for seed in range(number)]


def test_the_estimate_counts_what_must_still_be_run(board):
    board, sums, doubles, out = board
    with board:
        board.plan(sums, runs("broken", 10), runs("broken", 4))
        board.plan(doubles, runs("broken", 5), [])
        board.done(doubles, ("broken", 0), 60.0)

        # 6 runs of 12 s and 4 of 60 s, two at a time.
        assert board._left() == "about 3 min left"
    assert out.getvalue().splitlines() == [
        "sums: 10 runs, 4 of them cached; no time estimate yet",
        "doubles: 5 runs; no time estimate yet",
    ]


def test_kept_runs_cost_nothing(board):
    board, sums, doubles, _ = board
    with board:
        for kata in (sums, doubles):
            board.plan(kata, runs("broken", 5), runs("broken", 5))

        assert board._left() == "under a minute left"
