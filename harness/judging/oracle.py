"""Recompute from what a run left: `python -m harness.judging.oracle KATA` rebuilds the truth of a seed and measures what the run left.

A process of its own, because a kata's oracle may import torch and reads files that a learner's code wrote. The truth exists
only in its memory; what the checks need of it goes through the pipe.
"""

from __future__ import annotations

import importlib.util
import json
import math
import pickle
import random
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fixtures.recording.artifacts import BadArtifact
from fixtures.scene import module_folders
from fixtures.seeds import number_of
from harness.course.errors import KataError
from harness.course.kata import shown
from harness.judging.child import serve

Numbers = dict[str, Any]


SEEDS_REMEMBERED = 8


@dataclass(frozen=True)
class Remembered:
    """The truth of a seed, and where the random generators were when it had been made."""

    truth: bytes
    """Pickled: several times faster than a deep copy."""
    generators: tuple[Any, ...]


class Oracle:
    """A kata's scene and oracle, loaded once. It remembers the truth of the last seeds, which may take seconds to compute."""

    def __init__(self, kata: Path) -> None:
        self._kata = kata
        self._remembered: dict[int, Remembered] = {}
        sys.path += module_folders(kata, answers=True)
        self._scene = _load(kata / ".meta" / "scene.py")
        path = kata / ".meta" / "oracle.py"
        self._oracle = _load(path) if path.exists() else None

    def look(self, seed: int, evidence: Path | None) -> Numbers:
        """Return {"truth", "recomputed"}, or {"truth", "unreadable"} with the reason if what the run left cannot be read.

        Without evidence, the truth alone.
        """
        truth = self._truth(number_of(seed))
        answer: Numbers = {"truth": {k: v for k, v in truth.items() if _is_plain(v)}}
        if self._oracle is None or evidence is None:
            return answer | {"recomputed": {}}
        try:
            return answer | {"recomputed": {k: _plain(v) for k, v in self._oracle.recompute(evidence, truth).items()}}
        except BadArtifact as e:
            return answer | {"unreadable": str(e)}

    def _truth(self, number: int) -> Numbers:
        """Return a truth that the caller may change, with the random generators as they are after it was computed."""
        if known := self._remembered.get(number):
            _set_generators(known.generators)
            truth: Numbers = pickle.loads(known.truth)  # noqa: S301 - written by this process
            return truth
        truth = self._scene.truth(number)
        # What cannot be pickled, such as a generator, is computed each time.
        with suppress(pickle.PicklingError, TypeError, AttributeError, RuntimeError):
            self._remembered[number] = Remembered(pickle.dumps(truth, pickle.HIGHEST_PROTOCOL), _generators())
        while len(self._remembered) > SEEDS_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        return truth


def _generators() -> tuple[Any, ...]:
    # The harness imports no torch, but the kata's oracle may have done so.
    torch = sys.modules.get("torch")
    return random.getstate(), np.random.get_state(), torch and torch.get_rng_state()


def _set_generators(states: tuple[Any, ...]) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])
    if states[2] is not None:
        sys.modules["torch"].set_rng_state(states[2])


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.parent.parent.name}_{path.stem}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise KataError(f"{shown(path)} is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    return math.nan if value is None else value


def main() -> None:
    oracle = Oracle(Path(sys.argv[1]))
    serve(lambda question: oracle.look(question["seed"], question["evidence"] and Path(question["evidence"])))


if __name__ == "__main__":
    main()
