import pytest

from harness.course.errors import KataError
from harness.course.kata import load_kata
from harness.proof.selftest import Claim, selftest


@pytest.fixture
def claiming(sums):
    """Give the toy kata a selftest."""

    def write(body):
        (sums.meta / "selftest.py").write_text(f"def selftest():\n    {body}\n")
        return load_kata(sums.folder)

    return write


def test_a_kata_without_a_selftest_claims_nothing(sums):
    assert selftest(sums) == ()


def test_claims_are_measured_in_another_process(claiming):
    kata = claiming("print('noise'); return [('as it should be', 0.5, 0.6, True), ('not so', 0.7, 0.6, False)]")

    assert selftest(kata) == (Claim("as it should be", 0.5, 0.6, True), Claim("not so", 0.7, 0.6, False))


def test_claims_are_kept_until_the_kata_changes(claiming, tmp_path):
    count = f"open({str(tmp_path / 'count')!r}, 'a').write('x')"
    for _ in range(2):
        selftest(claiming(f"{count}; return [('counted', 1, 1, True)]"))
    selftest(claiming(f"{count}; return [('counted again', 1, 1, True)]"))

    assert (tmp_path / "count").read_text() == "xx"


@pytest.mark.parametrize("answer", ["[]", "None", "[('no bar', 1.0)]"])
def test_a_selftest_that_claims_nothing_is_malformed(claiming, answer):
    kata = claiming(f"return {answer}")

    with pytest.raises(KataError, match=r"selftest\.py: selftest\(\) must return a list"):
        selftest(kata)


def test_only_true_holds(claiming):
    kata = claiming("return [('a word', 1.0, 1.0, 'yes'), ('no number', None, 1.0, False)]")

    assert [c.holds for c in selftest(kata)] == [False, False]
