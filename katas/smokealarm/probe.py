"""Let runs that the notebook has not seen go by, one step at a time, and keep in which steps its alarm rings."""

import signal
import threading
import time
from contextlib import contextmanager

import numpy as np

from fixtures.sealed import opened, replayed

LIMIT_S = 0.1  # a call that takes longer is a step without an answer
RUN_LIMIT_S = 2.0  # of all calls of a run together; the steps that are left have no answer


def probe(notebook, inputs):
    """Make an alarm for each run, call it with what there is after each step, and return its answers: a text of 0 and 1 for each run."""
    make_alarm, rings, raised = notebook["make_alarm"], [], []
    for number, content in enumerate(taken(inputs)):
        answers, error = watched(make_alarm, replayed(opened(content)))
        rings.append(answers)
        if error:
            raised.append([number, error])
    return {"rings": rings, "raised": raised}


def taken(inputs):
    """Return the runs, sealed, and leave no file of them: an alarm that looks for what comes finds nothing to read."""
    paths = sorted(inputs.glob("*.run"))
    contents = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    return contents


def watched(make_alarm, telemetry_by_step):
    """Return one run's answers and the first exception; a step without an answer is a step without an alarm."""
    answers, errors, spent, alarm = [], [], 0.0, None
    for telemetry in telemetry_by_step:
        answer, begun = False, time.monotonic()
        if spent < RUN_LIMIT_S:
            try:
                with limited():
                    alarm = make_alarm() if alarm is None else alarm
                    answer = yes_or_no(alarm(telemetry))
            except Exception as e:  # whatever is raised is no answer to this step, and to no other
                errors.append(f"{type(e).__name__}: {e}"[:160])
        spent += time.monotonic() - begun
        answers.append("1" if answer else "0")
    return "".join(answers), errors[0] if errors else None


def yes_or_no(answer):
    if not isinstance(answer, bool | np.bool_):
        raise TypeError(f"the alarm returned {type(answer).__name__}, expected True or False")
    return bool(answer)


@contextmanager
def limited():
    """Raise TimeoutError after LIMIT_S; where there are no alarm signals, the notebook's own limit must do."""
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
