"""Can this machine judge a kata? The notebook as shipped must show here what proof.toml declares, and the reference repair must pass.

Thresholds are calibrated on one machine; another processor, or another build of torch, could move a run across them. Then the
verdict is "cannot be judged here", never "you failed".
"""

from __future__ import annotations

import json
import platform
import tempfile
import threading
from concurrent.futures import Executor, Future
from importlib.metadata import version
from pathlib import Path

from nbformat import NotebookNode

from fixtures.recording.journal import runs_folder
from harness.check.examine import Examined, RunContext, judge_execution, run_seed
from harness.course.fixes import with_fix
from harness.course.kata import Kata, Proof, listed, load_proof
from harness.course.keys import proof_key
from harness.course.notebook import authored
from harness.judging.verdict import Judge
from harness.sandbox.forkserver import Kernels
from harness.sandbox.kernel import Execution

PUBLIC_SEED = 0


class Preflight:
    """Whether this machine can judge a kata as it is now: known from an earlier attempt, or measured during this one."""

    def __init__(self, kata: Kata, kernels: Kernels, executor: Executor) -> None:
        self._kata, self._kernels, self._executor = kata, kernels, executor
        self._known = runs_folder() / kata.slug / "preflight" / f"{_key(kata)}.json"
        self._stop = threading.Event()
        self._scratch = tempfile.TemporaryDirectory(prefix="preflight-", dir=_made(runs_folder() / kata.slug))
        self._runs: dict[str, Future[Execution]] = {}

    def prepare(self, name: str) -> None:
        """Start a run that `failure` will need: "broken", or "reference"."""
        # A kata in the making has no proof.toml yet, and no preflight.
        if self._declared() and not self._known.exists() and name not in self._runs:
            folder = Path(self._scratch.name) / name
            context = RunContext(self._kernels, stop=self._stop)
            self._runs[name] = self._executor.submit(run_seed, self._kata, self._notebook(name), PUBLIC_SEED, folder, context)

    def failure(self, judge: Judge, broken: Examined | None) -> str:
        """Return why this machine cannot judge the kata; empty when it can. `broken` is a run of the notebook as shipped, if there is one."""
        if not self._declared():
            return ""
        if self._known.exists():
            return str(json.loads(self._known.read_text(encoding="utf-8"))["failure"])
        self.prepare("reference")
        if broken is None:
            self.prepare("broken")
            broken = self._examined(judge, "broken")
        found = _failure(load_proof(self._kata), broken, self._examined(judge, "reference"))
        _made(self._known.parent)
        self._known.write_text(json.dumps({"failure": found}) + "\n", encoding="utf-8")
        return found

    def close(self) -> None:
        """End what still runs."""
        self._stop.set()
        for future in self._runs.values():
            future.cancel()
            if not future.cancelled():
                future.exception()
        self._scratch.cleanup()

    def __enter__(self) -> Preflight:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _declared(self) -> bool:
        return (self._kata.meta / "proof.toml").exists()

    def _notebook(self, name: str) -> NotebookNode:
        shipped, proof = authored(self._kata), load_proof(self._kata)
        return shipped if name == "broken" else with_fix(self._kata, proof, proof.reference.name, shipped)

    def _examined(self, judge: Judge, name: str) -> Examined:
        return judge_execution(judge, PUBLIC_SEED, self._runs[name].result())


def _failure(proof: Proof, broken: Examined, reference: Examined) -> str:
    outcomes = ((broken, "the notebook as shipped", proof.broken.outcome), (reference, "the reference repair", "completed"))
    for examined, what, expected in outcomes:
        if (outcome := examined.execution.outcome) != expected:
            did = "runs to its end" if outcome == "completed" else f"does not run to its end here: {outcome}"
            return f"{what} {did}" + (f": {examined.execution.message}" if examined.execution.message else f"; expected {expected}")
    failed = {c.name: c.message for c in broken.verdict.failed} if broken.verdict else {}
    if healthy := [name for name in proof.broken.fails if name not in failed]:
        return f"the notebook as shipped passes {listed(healthy)} here: its symptom does not show"
    if failed and not proof.broken.goes_wrong:
        name = next(iter(failed))
        return f"the notebook as shipped is healthy, and fails {listed([name])} here: {failed[name]}"
    if refused := reference.verdict.failed if reference.verdict else ():
        return f"the reference repair fails {listed([refused[0].name])} here: {refused[0].message}"
    return ""


def _key(kata: Kata) -> str:
    return f"{proof_key(kata)[:12]}-{version('torch')}-{platform.node()}-{platform.machine()}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
