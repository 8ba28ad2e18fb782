"""Call the notebook's `diagnose` on unseen incidents, one at a time, and keep its answers."""

import copy
import signal
import threading

from fixtures.incidents.casebook import read_cases

LIMIT_S = 0.5


def probe(notebook, inputs):
    """Call `diagnose(telemetry)` once for each incident, each with a copy of its own; return its answers."""
    diagnose, answers, raised = notebook["diagnose"], [], []
    for number, telemetry in enumerate(read_cases(inputs)):
        try:
            answers.append(plain(limited(diagnose, copy.deepcopy(telemetry))))
        except Exception as e:  # an exception costs the answer to this incident only
            answers.append(None)
            raised.append([number, f"{type(e).__name__}: {e}"[:160]])
    return {"answers": answers, "raised": raised}


def limited(diagnose, telemetry):
    """Call `diagnose` and raise TimeoutError after LIMIT_S; without alarm signals only the notebook's own limit holds."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return diagnose(telemetry)

    def too_long(*_):
        raise TimeoutError(f"diagnose took more than {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        return diagnose(telemetry)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def plain(answer):
    """Return the required fields as text, numbers, booleans or None."""
    return {field: scalar(answer.get(field)) for field in ("cause", "first_bad_step", "place", "action", "confidence", "abstain")}


def scalar(value):
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)[:80]
