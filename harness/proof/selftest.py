"""What a kata claims of its own instruments, measured: `python -m harness.proof.selftest KATA` answers with `.meta/selftest.py`'s claims.

`selftest()` draws what it measures; `selftest(inputs)` is given the hidden inputs of the proof's seeds, {number of the seed: folder}.

A process of its own, because a selftest may import torch.
"""

from __future__ import annotations

import inspect
import json
import runpy
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fixtures.recording.artifacts import number
from fixtures.recording.journal import runs_folder
from fixtures.scene import module_folders
from fixtures.seeds import number_of
from harness.course.errors import KataError
from harness.course.kata import Kata, shown
from harness.course.keys import proof_key
from harness.course.scene_files import inputs_for
from harness.judging.child import Child, serve


@dataclass(frozen=True)
class Claim:
    """Something that must hold of a kata's instruments, and whether it does."""

    claim: str
    measured: float
    threshold: float
    holds: bool


def selftest(kata: Kata, seeds: Sequence[int] = ()) -> tuple[Claim, ...]:
    """Return the claims of a kata's `.meta/selftest.py`, measured now or when its content was the same; none where there is no such file.

    seeds: whose hidden inputs the selftest may measure.
    """
    path = kata.meta / "selftest.py"
    if not path.exists():
        return ()
    key = proof_key(kata)[:16]
    cached: Path = runs_folder() / kata.slug / "selftest" / f"{key}.json"
    if not cached.exists():
        folders = {number_of(seed): inputs_for(kata, seed) for seed in seeds}
        with Child("harness.proof.selftest", str(kata.folder)) as child:
            answer = child.ask({"inputs": [[number, str(folder)] for number, folder in folders.items() if folder]})
        for old in cached.parent.glob("*.json"):
            old.unlink()
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text(json.dumps(answer), encoding="utf-8")
    return tuple(Claim(**claim) for claim in json.loads(cached.read_text(encoding="utf-8")))


def measured(path: Path, inputs: dict[int, Path]) -> list[dict[str, Any]]:
    """Run a selftest and return its claims as plain values; raises KataError when it returns no valid list of claims."""
    found = runpy.run_path(str(path)).get("selftest")
    claims = None
    if callable(found):
        claims = found(inputs) if inspect.signature(found).parameters else found()
    if not isinstance(claims, Sequence) or not claims or not all(isinstance(c, tuple) and len(c) == 4 for c in claims):
        raise KataError(f"{shown(path)}: selftest() must return a list of (claim, measured, threshold, whether it holds), one or more")
    return [asdict(Claim(str(claim), number(value), number(threshold), ok is True)) for claim, value, threshold, ok in claims]


def main() -> None:
    path = Path(sys.argv[1]) / ".meta" / "selftest.py"
    sys.path += module_folders(Path(sys.argv[1]), answers=True)
    serve(lambda question: measured(path, {seed: Path(folder) for seed, folder in question["inputs"]}))


if __name__ == "__main__":
    main()
