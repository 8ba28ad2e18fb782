"""A process that answers questions: JSON lines in, JSON lines out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from harness.course.errors import KataError

ANSWER_S = 180.0
"""Judging takes seconds; what a run left may be made to take for ever."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Several judges and kernels run side by side, and a sum over threads would depend on how many there are."""


class Overwhelmed(KataError):
    """A child was killed over a question: it took too long, or more memory than there is."""


class Child:
    """`python -m MODULE ARGUMENTS`, alive until the end of the with block.

    It starts, and imports what it needs, while its parent does something else; the first `ask` waits for it.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._name = module
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            # Ctrl-C is the parent's business: it closes its children.
            start_new_session=True,
            # Whatever pytest plugins are installed, checks run with none but ours, and start 0.4 s sooner.
            env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | ONE_THREAD,
        )

    def ask(self, question: dict[str, Any]) -> Any:
        """Return the answer; raises KataError with the child's own words when the kata's code failed there."""
        assert self._process.stdin and self._process.stdout
        patience = threading.Timer(ANSWER_S, self._process.kill)
        patience.start()
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            patience.cancel()
        if not line:
            raise self._last_words()
        answer = json.loads(line)
        if "kata_error" in answer:
            raise KataError(answer["kata_error"])
        return answer["answer"]

    def _last_words(self) -> KataError:
        code = self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        frames = [line.strip() for line in lines if line.startswith("  File ")]
        if code == -signal.SIGKILL:
            return Overwhelmed(f"{self._name} was killed: it took more than {ANSWER_S:g} s to answer, or more memory than there is")
        if not frames:
            return KataError(f"{self._name} ended with exit code {code} instead of answering")
        return KataError(f"{self._name} broke: {lines[-1]}\n  {frames[-1]}")

    def close(self) -> None:
        """End the child without waiting for what it may be doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._stderr.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def serve(answer: Callable[[dict[str, Any]], Any]) -> None:
    """Answer questions from stdin until it closes. What the kata's code prints goes to stderr, not between the answers."""
    # A copy of stdout that only the answers know; file descriptor 1 becomes stderr for everyone else.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            reply = {"answer": answer(json.loads(line))}
        except KataError as e:
            reply = {"kata_error": str(e)}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()
