"""Call the learner's functions after the notebook: on all inputs at once, or record by record.

A kernel cannot hide data from code that searches it, so later records stay on this side, and so do given answers. The inputs of a
kata's probe may hold a folder `in_turn`: one sequence per file, one JSON value per line. The kernel receives the next line through a
socket once it has answered the last (`fixtures.probing.take_turns` is the other end).
"""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.course.notebook import PROBE_CELL
from harness.sandbox.bubblewrap import Stage

FOLDER = "in_turn"
MAX_ANSWER_BYTES = 4096
LOOK_EVERY_S = 0.2


class Turns:
    """Sends records to one kernel from its own thread, and keeps the answers: a list for each sequence."""

    def __init__(self, sequences: Path, address: Path) -> None:
        """sequences: a folder of .jsonl files, sent in the order of their names. address: a file with the socket's address for the kernel."""
        self.answers: list[list[Any]] = []
        self._sequences = sorted(sequences.glob("*.jsonl"))
        self._over = threading.Event()
        # A socket's path has at most a hundred characters.
        unix = hasattr(socket, "AF_UNIX")
        self._listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self._listener.bind(str(address.with_suffix(".socket")) if unix else ("127.0.0.1", 0))
        self._listener.listen(1)
        self._listener.settimeout(LOOK_EVERY_S)
        address.write_text(json.dumps(self._listener.getsockname()))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                break
        else:
            return
        # When the other side ends, the remaining records stay unanswered.
        with connection, suppress(OSError, ValueError, RecursionError):
            connection.settimeout(LOOK_EVERY_S)
            self._ask(connection)

    def _ask(self, connection: socket.socket) -> None:
        heard = bytearray()
        for n, path in enumerate(self._sequences):
            self.answers.append([])
            for position, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
                connection.sendall(f'{{"sequence": {n}, "position": {position}, "record": {line}}}\n'.encode())
                self.answers[-1].append(json.loads(self._hear(connection, heard)))

    def _hear(self, connection: socket.socket, heard: bytearray) -> bytes:
        """Return one line; raises OSError when there is none."""
        while b"\n" not in heard:
            if self._over.is_set() or len(heard) > MAX_ANSWER_BYTES:
                raise OSError("no answer")
            with suppress(TimeoutError):
                if not (more := connection.recv(MAX_ANSWER_BYTES)):
                    raise OSError("the kernel has ended")
                heard += more
        line, _, rest = bytes(heard).partition(b"\n")
        heard[:] = rest
        return line

    def close(self) -> None:
        """Stop sending."""
        self._over.set()
        self._thread.join()
        self._listener.close()

    def leave(self, evidence: Path) -> None:
        """Write the answers as in_turn.json into the evidence of an ended kernel, over any file of that name."""
        path = evidence / f"{FOLDER}.json"
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.write_text(json.dumps(self.answers), encoding="utf-8")


class Probe:
    """The inputs of one kernel's probe, provided after its notebook has run."""

    def __init__(self, script: Path | None, inputs: Callable[[], Path | None], stage: Stage) -> None:
        self._script, self._inputs, self._stage = script, inputs, stage
        self._turns: Turns | None = None

    def bring(self, cell: str) -> None:
        """Copy the inputs to the kernel before its last cell; those sent record by record stay here."""
        if cell != PROBE_CELL or self._script is None or (inputs := self._inputs()) is None:
            return
        shown = self._stage.probe / "inputs"
        shutil.copytree(inputs, shown, ignore=shutil.ignore_patterns(FOLDER))
        shutil.copy(self._script, self._stage.probe / "probe.py")
        if (inputs / FOLDER).is_dir():
            self._turns = Turns(inputs / FOLDER, shown / f"{FOLDER}.json")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        if self._turns:
            self._turns.close()

    def leave(self, evidence: Path) -> None:
        """Write the answers to single records into the kernel's evidence."""
        if self._turns:
            self._turns.leave(evidence)
