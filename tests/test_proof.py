from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.cage import find_cage
from harness.kata import load_kata
from harness.proof import prove
from harness.scaffold import sync
from harness.variants import Bench


@pytest.fixture
def proven(sums):
    def proven():
        sync(sums)
        done = []
        with ThreadPoolExecutor(2) as pool:
            bench = Bench(load_kata(sums.folder), pool, find_cage())
            result = prove(bench, done.append, lambda name, seed: done.append((name, seed)))
        return result, done

    return proven


def rewrite(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.slow
def test_a_fair_kata_is_proven(proven):
    result, done = proven()

    assert result.problems == ()
    assert done[0] == len(done) - 1
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
