import pytest

from harness.course.errors import KataError
from harness.judging.checks import judge_diagnosis
from harness.judging.evidence import Reported
from harness.judging.verdict import Judge

TRUTH = {"diagnosis": {"cause": ["data"], "first_bad_step": [4, 5]}}


@pytest.fixture
def evidence(tmp_path):
    folder = tmp_path / "evidence"
    folder.mkdir()
    rows = "".join(f'{{"step": {step}}}\n' for step in range(20))
    (folder / "telemetry.jsonl").write_text(rows)
    return folder


def findings(**recomputed):
    return {"truth": {}, "recomputed": recomputed}


def verdict(sums, evidence, **recomputed):
    with Judge(sums.folder) as judge:
        return judge.check(0, evidence, findings(**recomputed))


def test_a_right_run_passes_every_check(sums, evidence):
    found = verdict(sums, evidence, off=0.0)

    assert found.fixed
    assert [c.name for c in found.checks] == ["check_the_total_is_right", "check_every_reading_is_logged"]


def test_a_failed_check_gives_its_evidence_claim_and_margin(sums, evidence):
    [failed] = verdict(sums, evidence, off=7.0).failed

    assert failed.claim == "The total is that of the sensor's readings."
    assert failed.message == "the total is off by 7 (bar 0.5)"
    assert [(m.measure, m.value, m.threshold) for m in failed.margins] == [("off", 7.0, 0.5)]


def test_missing_evidence_fails_a_check(sums, evidence):
    (evidence / "telemetry.jsonl").unlink()

    [failed] = verdict(sums, evidence, off=0.0).failed

    assert failed.status == "fail"
    assert failed.message == "the run's telemetry has no column `step`"


def test_a_check_that_breaks_is_an_error_of_the_kata(sums, evidence):
    sums.checks.write_text("def check_x(recomputed):\n    return 1 / 0\n")

    [broken] = verdict(sums, evidence).failed

    assert (broken.status, broken.message) == ("error", "ZeroDivisionError: division by zero")


def test_checks_that_cannot_be_collected_are_a_kata_error(sums, evidence):
    sums.checks.write_text("def chek_x(): ...\n")

    with pytest.raises(KataError, match=r"checks\.py: no check could be run"):
        verdict(sums, evidence)


def test_checks_that_do_not_parse_are_a_kata_error(sums, evidence):
    sums.checks.write_text("def check_x(:\n")

    with pytest.raises(KataError, match=r"checks\.py.*SyntaxError"):
        verdict(sums, evidence)


def test_one_judge_answers_for_several_runs(sums, evidence):
    with Judge(sums.folder) as judge:
        fixed = [judge.check(0, evidence, findings(off=off)).fixed for off in (0.0, 9.0, 0.1)]

    assert fixed == [True, False, True]


@pytest.mark.parametrize(
    ("form", "right"),
    [
        ('{"cause": "data", "first_bad_step": 5}', ["cause", "first_bad_step"]),
        ('{"cause": " Data", "first_bad_step": "5"}', ["cause"]),
        ('{"cause": true, "first_bad_step": 4.0}', []),
        ('{"cause": ["data"], "first_bad_step": null}', []),
        ("[]", []),
        ("not json", []),
    ],
)
def test_a_diagnosis_is_compared_field_by_field(tmp_path, form, right):
    (tmp_path / "diagnosis.json").write_text(form)

    assert judge_diagnosis(Reported(tmp_path), TRUTH)["right"] == right


def test_a_kata_that_asks_for_no_diagnosis_has_none(tmp_path):
    assert judge_diagnosis(Reported(tmp_path), {}) is None
