"""What a kernel is asked after its notebook: all at once, or in turn, where a record goes to the kernel when the one before it is answered.

What a kernel holds cannot be kept from code that looks for it, so what comes later is not there; and an answer that was given stays here. The
inputs of a kata's probe may hold a folder `in_turn` of sequences, one a file, a JSON value a line: they stay on this side, and the kernel
gets one line for each answer through a socket (`fixtures.probing.take_turns` is its other end).
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
    """Asks one kernel, from a thread of its own, and keeps its answers: a list for each sequence."""

    def __init__(self, sequences: Path, address: Path) -> None:
        """sequences: a folder of .jsonl files, asked in the order of their names. address: a file that tells the kernel where to ask."""
        self.answers: list[list[Any]] = []
        self._sequences = sorted(sequences.glob("*.jsonl"))
        self._over = threading.Event()
        # A path of a socket has a hundred characters at most.
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
        # Whatever ends the other side ends the questions: what is not answered stays so.
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
        """End the questions."""
        self._over.set()
        self._thread.join()
        self._listener.close()

    def leave(self, evidence: Path) -> None:
        """Write the answers as in_turn.json to what a dead kernel left, in the place of anything of that name."""
        path = evidence / f"{FOLDER}.json"
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.write_text(json.dumps(self.answers), encoding="utf-8")


class Probe:
    """What one kernel is asked when its notebook has run."""

    def __init__(self, script: Path | None, inputs: Callable[[], Path | None], stage: Stage) -> None:
        self._script, self._inputs, self._stage = script, inputs, stage
        self._turns: Turns | None = None

    def bring(self, cell: str) -> None:
        """Show the kernel what it will be asked, before its last cell; what is asked in turn stays here."""
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
        """Put the answers that were given in turn where the kernel's evidence is."""
        if self._turns:
            self._turns.leave(evidence)
