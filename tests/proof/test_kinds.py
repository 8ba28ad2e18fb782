"""Katas that ship a healthy run, only read, or have something built: what proofs demand of them."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.check.preflight import Preflight
from harness.course.errors import KataError
from harness.course.kata import load_kata, load_proof
from harness.course.scaffold import sync
from harness.judging.verdict import Judge
from harness.proof.prove import prove
from harness.proof.receipt import read
from harness.proof.variants import Bench
from harness.sandbox.forkserver import kernels_for

TOYS = Path(__file__).parents[1] / "toy_kinds"


class Silent:
    def plan(self, kata, runs, kept):
        pass

    def done(self, kata, run, seconds):
        pass


@pytest.fixture
def toy(tmp_path):
    def toy(name, **replaced):
        folder = Path(shutil.copytree(TOYS / name, tmp_path / "katas" / name))
        for file, (old, new) in replaced.items():
            path = next(folder.rglob(f"{file}.*"))
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))
        kata = load_kata(folder)
        sync(kata)
        return kata

    return toy


def proven(kata):
    with kernels_for([kata]) as kernels, ThreadPoolExecutor(2) as pool:
        return prove(Bench(kata, pool, kernels, Silent()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["steady", "adder", "reader"])
def test_a_kata_of_each_kind_is_proven(toy, name):
    kata = toy(name)

    result = proven(kata)

    assert result.problems == ()
    assert read(kata)["variants"]["broken"]["seeds"] == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["steady", "adder", "reader"])
def test_the_preflight_of_each_kind_holds(toy, name):
    kata = toy(name)
    with (
        kernels_for([kata]) as kernels,
        ThreadPoolExecutor(2) as pool,
        Judge(kata.folder) as judge,
        Preflight(kata, kernels, pool) as preflight,
    ):
        assert preflight.failure(judge, None) == ""


@pytest.mark.slow
def test_a_shipped_run_that_is_to_be_left_and_fails_is_named(toy):
    result = proven(toy("steady", notebook=("return sum(readings)", "return 2 * sum(readings)")))

    assert "the notebook as shipped, which is healthy, is refused by `check_the_total_is_right`" in result.problems


@pytest.mark.slow
def test_a_wrong_diagnosis_of_the_reference_is_named(toy):
    result = proven(toy("steady", proof=('\\"cause\\": \\"none\\"', '\\"cause\\": \\"data\\"')))

    assert result.problems == ("right fix `leave-it` is refused by `diagnosis`",)


@pytest.mark.slow
def test_a_shipped_notebook_with_the_right_diagnosis_is_named(toy):
    result = proven(toy("steady", scene=('["none"]', '["none", ""]')))

    assert result.problems == ("the notebook as shipped holds the right diagnosis, and the diagnosis decides: leave the form blank",)


@pytest.mark.slow
def test_a_notebook_that_must_end_in_an_error_and_completes_is_an_error_of_the_kata(toy):
    kata = toy("adder", notebook=("raise NotImplementedError", "return 0  # raise NotImplementedError"))

    with pytest.raises(KataError, match=r"broken, seed 0: the notebook completed; proof\.toml says `outcome = 'cell_error'`"):
        proven(kata)


@pytest.mark.parametrize(
    ("name", "broken", "message"),
    [
        (
            "steady",
            '[broken]\nfails = ["check_the_total_is_right"]\n',
            "declares a failure, and a kata of kind `leave` ships a healthy run",
        ),
        ("adder", "[broken]\n", "has no `fails`: list the checks that the notebook as shipped fails; kind is `build`"),
        ("reader", '[broken]\noutcome = "cell_error"\n', "has outcome `cell_error`, which only a kata of kind `build` may have"),
    ],
)
def test_what_the_shipped_notebook_shows_must_suit_the_kind(toy, name, broken, message):
    kata = toy(name)
    path = kata.meta / "proof.toml"
    head, fixes = path.read_text().split("[[fix]]", 1)
    path.write_text(head.split("[broken]")[0] + broken + "\n[[fix]]" + fixes)

    with pytest.raises(KataError, match=message):
        load_proof(kata)
