"""Judges are shared between threads: a seed's truth is learnt once, unless learning it again is quicker than waiting."""

import threading
import time

import pytest

from harness.judging import verdict
from harness.judging.verdict import Judges


class Fake:
    def __init__(self, kata, *, calibrating):
        pass

    def close(self):
        pass


@pytest.fixture
def judges(monkeypatch, tmp_path):
    monkeypatch.setattr(verdict, "Judge", Fake)
    with Judges(tmp_path) as judges:
        yield judges


def judge_on_two_threads(judges, seed, seconds):
    lent = []

    def judging():
        with judges.one(seed) as judge:
            lent.append(judge)
            time.sleep(seconds)

    threads = [threading.Thread(target=judging) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return lent


def test_a_thread_waits_for_the_judge_that_is_learning_its_seed(judges):
    first, second = judge_on_two_threads(judges, 0, 0.05)

    assert first is second


def test_a_seed_that_is_learnt_quickly_is_learnt_by_another_judge(judges):
    with judges.one(0):
        time.sleep(0.01)
    with judges.one(0):
        time.sleep(0.05)

    first, second = judge_on_two_threads(judges, 0, 0.05)

    assert first is not second


def test_another_seed_does_not_wait(judges):
    with judges.one(0) as first, judges.one(1) as second:
        assert first is not second
