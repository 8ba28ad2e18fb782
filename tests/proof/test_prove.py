import json
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.course.kata import load_kata, load_proof
from harness.course.scaffold import sync
from harness.judging.verdict import Judge
from harness.proof.criteria import over_budget
from harness.proof.prove import prove
from harness.proof.receipt import content_key
from harness.proof.variants import Bench, Row, cached_run, fixed
from harness.sandbox.forkserver import kernels_for
from harness.sandbox.kernel import Execution

TOYS = Path(__file__).parents[1] / "toy_katas"


class Told:
    """The progress that a proof tells of."""

    def __init__(self):
        self.planned, self.kept, self.judged = [], [], []

    def plan(self, kata, runs, kept):
        self.planned, self.kept = list(runs), list(kept)

    def done(self, kata, run, seconds):
        self.judged.append(run)


@pytest.fixture(scope="session")
def first_proof(made_once):
    """The runs of a proof of the toy kata as it is."""
    return made_once("first-proof", _prove_toy) / "runs"


def _prove_toy(folder):
    kata = load_kata(shutil.copytree(TOYS, folder / "katas") / "sums")
    with pytest.MonkeyPatch.context() as patch, kernels_for([kata]) as kernels, ThreadPoolExecutor(2) as pool:
        patch.setenv("KATA_RUNS", str(folder / "runs"))
        prove(Bench(kata, pool, kernels, Told()))


@pytest.fixture
def proven(sums, kernels, first_proof, runs):
    """Prove the toy kata, as the test changed it: what did not change is kept from the first proof."""
    shutil.copytree(first_proof, runs, dirs_exist_ok=True)

    def proven():
        sync(sums)
        told = Told()
        with ThreadPoolExecutor(2) as pool:
            return prove(Bench(load_kata(sums.folder), pool, kernels, told)), told

    return proven


def rewrite(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.slow
def test_a_fair_kata_is_proven(proven):
    result, told = proven()

    assert result.problems == ()
    assert sorted(told.planned) == sorted(told.judged)
    assert [row.variant.name for row in result.rows][:2] == ["broken", "leave-the-marker-out"]


@pytest.mark.slow
def test_contradictions_are_named_and_runs_are_not_repeated(sums, proven):
    proven()
    rewrite(
        sums.meta / "proof.toml",
        'name = "leave-outliers-out"\nexpect = "pass"',
        'name = "leave-outliers-out"\nexpect = "fail"\nfails = ["check_the_total_is_right"]',
    )
    rewrite(sums.checks, "high=0.5", "high=50")

    result, _ = proven()

    assert "`leave-outliers-out` passes `check_the_total_is_right`, which it declares to fail" in result.problems
    assert "1 right fix, expected at least two of different kinds" in result.problems


@pytest.mark.slow
def test_a_check_that_no_variant_fails_is_named(sums, proven):
    sums.checks.write_text(sums.checks.read_text() + "\n\ndef check_the_sky(recomputed):\n    pass\n")

    result, _ = proven()

    assert result.problems == ("`check_the_sky` is failed by no variant: it cannot fail, or a masking fix is missing",)


@pytest.mark.slow
def test_a_refused_right_fix_is_named_with_the_check(sums, proven):
    rewrite(sums.fix_path("leave-outliers-out"), "10 * middle", "1 * middle")

    result, _ = proven()

    assert result.problems == ("right fix `leave-outliers-out` is refused by `check_the_total_is_right`",)


@pytest.mark.slow
def test_forged_reports_that_are_accepted_undeclared_are_named_and_the_receipt_is_not_written(sums, proven):
    rewrite(sums.meta / "proof.toml", "honest_only = true", "")

    result, _ = proven()

    assert result.problems == ("with forged reports `log-less` is accepted on seed 0",)
    assert not (sums.meta / "proof.json").exists()


@pytest.mark.slow
def test_a_needless_honest_only_is_named(sums, proven):
    rewrite(sums.meta / "proof.toml", 'why = "The marker still counts, as ten."', 'why = "x"\nhonest_only = true')

    result, _ = proven()

    assert result.problems == ("`clip-readings` is refused also when its reports are forged: drop `honest_only`",)


@pytest.mark.slow
def test_the_receipt_tells_of_the_content_it_was_written_for(sums, proven):
    proven()
    receipt = json.loads((sums.meta / "proof.json").read_text())

    assert receipt["content"] == content_key(sums)
    assert receipt["bit_identical"]
    assert receipt["variants"]["clip-readings"] == {"expect": "fail", "seeds": [0], "failed": ["check_the_total_is_right"]}
    sums.checks.write_text(sums.checks.read_text() + "\nX = 1\n")
    assert receipt["content"] != content_key(sums)


@pytest.mark.slow
def test_a_run_that_is_not_repeatable_is_named(sums, proven):
    notebook = sums.meta / "notebook.py"
    rewrite(
        notebook, "    journal.write(step=step, train_loss=reading)", "    journal.write(step=step, train_loss=reading, when=time.time())"
    )
    rewrite(notebook, "import json\n", "import json\nimport time\n")

    result, _ = proven()

    assert result.bits == "`telemetry.jsonl`"
    assert "two runs of `leave-the-marker-out` on seed 0 differ: `telemetry.jsonl`" in result.problems[0]


def test_a_run_that_leaves_no_room_in_the_budget_is_named(sums, kernels, tmp_path):
    run = Execution("completed", "run", "", 15.0, 0.8, tmp_path)
    row = Row(fixed(Bench(sums, None, kernels, Told()), load_proof(sums), load_proof(sums).reference, (0,)), (run,), ())

    assert over_budget(sums, [row]) == [
        "the slowest run took 15.0 s; 30 % of the 20 s must stay free",
        "the largest run held 0.80 GiB; 30 % of the 1 GiB must stay free",
    ]


@pytest.mark.slow
def test_a_run_that_a_busy_machine_slowed_down_is_timed_again(sums, proven, runs):
    proven()
    for receipt in (runs / "sums" / "proof").glob("*/execution.json"):
        slowed = json.loads(receipt.read_text()) | {"elapsed_s": 19.0}
        receipt.write_text(json.dumps(slowed))

    result, _ = proven()

    assert result.problems == ()
    assert result.slowest_s < 14


@pytest.mark.slow
def test_a_threshold_or_a_mask_that_is_too_near_is_named(sums, proven):
    baseline = sums.meta / "baseline.json"
    found = json.loads(baseline.read_text())
    found["measures"]["off"]["sd"] = 0.1
    found["refused_by_sd"]["scale-down"] = 3.0
    baseline.write_text(json.dumps(found))

    result, _ = proven()

    assert "the threshold of `off` is 5.0 sd from the reference, expected 6 or more" in result.problems
    assert "in calibration `scale-down` was only 3.0 sd beyond its decisive threshold, expected 4 or more" in result.problems


@pytest.mark.slow
def test_nothing_is_run_or_judged_twice(sums, proven, monkeypatch):
    first, _ = proven()
    monkeypatch.setattr(Judge, "start", lambda self: pytest.fail("the judge was started"))
    monkeypatch.setattr("harness.judging.verdict.Child", lambda *a: pytest.fail("the judge was started"))
    monkeypatch.setattr("harness.proof.variants.run_seed", lambda *a: pytest.fail("a notebook was run"))

    again, told = proven()

    assert again.rows == first.rows
    assert again.forged == first.forged
    assert len(told.kept) == len(told.planned) - 1  # all but the reference's second run


def test_two_proofs_at_the_same_run_keep_one_of_them_and_do_not_meet(sums, kernels):
    sync(sums)
    kata, ready = load_kata(sums.folder), threading.Barrier(2)

    def one(_):
        with ThreadPoolExecutor(1) as pool:
            bench = Bench(kata, pool, kernels, Told())
            ready.wait()
            return cached_run(bench, bench.shipped, 0)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(one, range(2))

    assert first.run_dir == second.run_dir
    assert (first.evidence / "total.json").exists()
    assert [folder.name for folder in first.run_dir.parent.iterdir()] == [first.run_dir.name]


@pytest.mark.slow
def test_another_check_is_judged_on_the_same_runs(sums, proven, monkeypatch):
    proven()
    monkeypatch.setattr("harness.proof.variants.run_seed", lambda *a: pytest.fail("a notebook was run"))
    rewrite(sums.checks, "bar 0.5", "bar 0.50")

    result, _ = proven()

    assert "bar 0.50" in result.rows[0].verdicts[0].failed[0].message


@pytest.mark.slow
def test_runs_that_nothing_looked_at_for_a_week_are_thrown_away(sums, proven, runs):
    proven()
    folders = list((runs / "sums" / "proof").iterdir())
    old = time.time() - 8 * 86400
    for folder in folders:
        os.utime(folder / "execution.json", (old, old))
    rewrite(sums.meta / "notebook.py", "import json\n", "import json\nimport math\n")

    proven()

    assert not any(folder.exists() for folder in folders)


@pytest.mark.slow
def test_a_claim_of_the_kata_that_does_not_hold_is_named(sums, proven):
    (sums.meta / "selftest.py").write_text("def selftest():\n    return [('holds', 1.0, 1.0, True), ('is small', 0.7, 0.6, False)]\n")

    result, _ = proven()

    assert result.problems == ("selftest: is small: 0.7, expected 0.6",)
    assert [c.claim for c in result.claims] == ["holds", "is small"]
