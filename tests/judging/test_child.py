import sys

import pytest

from harness.course.errors import KataError
from harness.judging.child import Child


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that serves; return its name."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(p for p in sys.path if p)}")

    def write(body):
        (tmp_path / "served.py").write_text(
            f"from harness.judging.child import serve\nfrom harness.course.errors import KataError\n\n\ndef answer(question):\n    {body}\n\n\nserve(answer)\n"
        )
        return "served"

    return write


def test_questions_are_answered_in_turn(module):
    with Child(module("return question['n'] + 1")) as child:
        assert [child.ask({"n": 1}), child.ask({"n": 2})] == [2, 3]


def test_what_the_child_prints_does_not_disturb_the_answers(module):
    with Child(module("print('noise'); return 1")) as child:
        assert child.ask({}) == 1


def test_a_kata_error_crosses_the_border(module):
    with Child(module("raise KataError('scene.py is wrong')")) as child, pytest.raises(KataError, match=r"scene\.py is wrong"):
        child.ask({})


def test_a_child_that_dies_is_a_kata_error(module):
    with (
        Child(module("import os; os._exit(7)")) as child,
        pytest.raises(KataError, match="served ended with exit code 7 instead of answering"),
    ):
        child.ask({})


def test_a_child_that_takes_for_ever_is_ended(module, monkeypatch):
    monkeypatch.setattr("harness.judging.child.ANSWER_S", 0.5)

    with (
        Child(module("import time; time.sleep(60)")) as child,
        pytest.raises(KataError, match=r"served was killed: it took more than 0\.5 s to answer, or more memory than there is"),
    ):
        child.ask({})
