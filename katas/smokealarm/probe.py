"""Replay unseen runs to the alarm, one step at a time: the next step comes after the answer to the last one."""

import signal
import threading
import time
from contextlib import contextmanager

import numpy as np

from fixtures.incidents.replay import Replay
from fixtures.probing import take_turns

LIMIT_S = 0.1  # a longer call is a step without an answer
RUN_LIMIT_S = 2.0  # of all calls of a run together; later steps have no answer


def probe(notebook, inputs):
    """Make an alarm for each run and call it after each step; return the first exception of each run."""
    make_alarm, runs = notebook["make_alarm"], []

    def begin():
        runs.append(Watched(make_alarm))
        return runs[-1].rings

    take_turns(inputs, begin)
    return {"raised": [[number, run.error] for number, run in enumerate(runs) if run.error]}


class Watched:
    """One run and its alarm."""

    def __init__(self, make_alarm):
        self.make_alarm, self.alarm = make_alarm, None
        self.replay, self.spent, self.error = Replay(), 0.0, None

    def rings(self, record):
        """Return whether the alarm rings after one more step; without an answer it does not."""
        telemetry, answer, begun = self.replay.add(record), False, time.monotonic()
        if self.spent < RUN_LIMIT_S:
            try:
                with limited():
                    self.alarm = self.alarm or self.make_alarm()
                    answer = yes_or_no(self.alarm(telemetry))
            except Exception as e:  # any exception leaves this step without an answer, and no other
                self.error = self.error or f"{type(e).__name__}: {e}"[:160]
        self.spent += time.monotonic() - begun
        return answer


def yes_or_no(answer):
    if not isinstance(answer, bool | np.bool_):
        raise TypeError(f"the alarm returned {type(answer).__name__}, expected True or False")
    return bool(answer)


@contextmanager
def limited():
    """Raise TimeoutError after LIMIT_S; without alarm signals, only the notebook's time limit holds."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def too_long(*_):
        raise TimeoutError(f"a call took more than {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
