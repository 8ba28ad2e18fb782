import io
import json
import math
import re

import pytest
from rich.console import Console

from harness.check.attempt import Attempt
from harness.check.examine import Examined
from harness.course.notebook import authored
from harness.course.submission import Submission
from harness.judging.bands import Margin
from harness.judging.verdict import CheckResult, Diagnosis, Verdict
from harness.sandbox.bubblewrap import Sandbox
from harness.sandbox.kernel import Execution
from harness.ui import report
from harness.ui.results import as_json
from harness.ui.view import view_of

FAILED = CheckResult(
    "check_the_total_is_right", "The total is right.", "fail", "the total is off by 7 (bar 0.5)", (Margin("off", 7.0, 0.5, -math.inf),)
)
PASSED = CheckResult("check_every_reading_is_logged", "Every reading is logged.", "pass", "", ())
SANDBOXED = Sandbox(True, "")
BROKEN = CheckResult("check_x", "X.", "error", "ZeroDivisionError: division by zero", ())


@pytest.fixture
def build(sums, tmp_path):
    def build(*runs, changed=("total",), before=0, wrong=(), sandbox=SANDBOXED, not_judged="", whole=True):
        examined = []
        for seed, checks in runs:
            folder = tmp_path / f"seed-{seed}"
            (folder / "evidence").mkdir(parents=True)
            rows = [json.dumps({"step": s, "train_loss": 1 + (s == 5) * 4}) for s in range(10)]
            (folder / "evidence" / "telemetry.jsonl").write_text("\n".join(rows) + "\n")
            if isinstance(checks, str):
                examined.append(
                    Examined(seed, Execution(checks, "total", "the notebook exceeded its limit of 4 s", 4.0, 0.1, folder), None)
                )
            else:
                verdict = Verdict(seed, checks, Diagnosis(("cause",), wrong, False))
                examined.append(Examined(seed, Execution("completed", "run", "", 2.0, 0.1, folder), verdict))
        submission = Submission(authored(sums), changed, 0, ("cell `run` was deleted: its shipped content was run",), authored(sums))
        return Attempt(7, tmp_path, submission, tuple(examined), before, sandbox, not_judged, 0.0, whole=whole)

    return build


def text(kata, done):
    out = io.StringIO()
    console = Console(file=out, width=120)
    report.show_notes(console, done.submission)
    for examined in done.examined:
        report.show_examined(console, kata, examined, done.public_seed)
    report.show_conclusion(console, view_of(kata, done))
    return out.getvalue()


def test_a_failed_check_shows_its_evidence_and_the_next_command(sums, build):
    shown = text(sums, build((0, (FAILED, PASSED))))

    assert "the total is off by 7 (bar 0.5)" in shown
    assert "Not fixed: 1 of 2 checks fail." in shown
    assert re.search(r"hint 1 of 3: +make hint KATA=sums KATAS=", shown)
    assert "note: cell `run` was deleted: its shipped content was run" in shown


def test_the_curve_is_drawn(sums, build):
    assert "train_loss over steps, public seed 0" in text(sums, build((0, (FAILED,))))


def test_an_unchanged_notebook_is_called_so(sums, build):
    assert "The notebook is unchanged" in text(sums, build((0, (FAILED,)), changed=()))
    assert "The notebook is unchanged" not in text(sums, build((1, (FAILED,))))


def test_a_pass_on_all_seeds_shows_the_post_mortem_without_the_authors_notes(sums, build):
    shown = text(sums, build((0, (PASSED,)), (1001, (PASSED,)), (1002, (PASSED,))))

    assert "Fixed: all checks pass on the public seed and on 2 held-out seeds." in shown
    assert "Root cause" in shown
    assert "Not for learners" not in shown


def test_a_pass_on_one_seed_alone_shows_no_post_mortem(sums, build):
    shown = text(sums, build((3, (PASSED,)), whole=False))

    assert "Seed 3 alone: all checks pass." in shown
    assert "Root cause" not in shown


def test_a_fix_that_fails_a_held_out_seed_is_told_exactly_that(sums, build):
    shown = text(sums, build((0, (PASSED,)), (1001, (PASSED,)), (1002, (FAILED, PASSED))))

    assert "Not fixed: all checks pass on the public seed, but 1 of 2 checks fail on held-out seed 1002." in shown
    assert re.search(r"make check KATA=sums KATAS=\S+ SEED=1002", shown)


def test_a_run_that_could_not_be_judged_says_why(sums, build):
    shown = text(sums, build((0, "timeout")))

    assert "timeout: the notebook exceeded its limit of 4 s" in shown
    assert "This run could not be judged." in shown


def test_a_check_that_breaks_is_the_katas_fault(sums, build):
    done = build((0, (BROKEN, PASSED)))

    assert done.exit_code == 4
    assert "A check of this kata raised an error. This is a bug in the kata." in text(sums, done)


def test_a_machine_that_cannot_judge_says_so(sums, build):
    done = build((0, (FAILED,)), not_judged="the reference repair fails `check_x` here")

    assert done.exit_code == 3
    assert "This machine cannot judge `sums`: the reference repair fails `check_x` here. Your repair is not the reason." in text(sums, done)


def test_an_unsandboxed_verdict_says_so_with_the_remedy(sums, build):
    shown = text(sums, build((0, (FAILED,)), sandbox=Sandbox(False, "bubblewrap is not installed")))

    assert re.search("unsandboxed: +bubblewrap is not installed", shown)


@pytest.mark.parametrize(("before", "named"), [(0, False), (1, False), (2, True)])
def test_wrong_fields_of_a_diagnosis_are_named_from_the_third_attempt(sums, build, before, named):
    shown = text(sums, build((0, (FAILED,)), before=before, wrong=("shard",)))

    assert "diagnosis: 1 of 2 fields are right" in shown
    assert ("`shard`" in shown) is named


def test_control_characters_of_a_learners_file_do_not_reach_the_terminal(sums, build):
    nasty = CheckResult("check_x", "X.", "fail", "tensor \x1b[2J is missing", ())

    assert "\x1b" not in text(sums, build((0, (nasty,))))


def test_json_holds_no_infinities_and_no_field_names_of_the_diagnosis(sums, build):
    content = json.dumps(as_json(view_of(sums, build((0, (FAILED,)), wrong=("shard",)))), allow_nan=False)

    assert "shard" not in content
    assert json.loads(content)["runs"][0]["checks"][0]["margins"][0]["sd"] == "-inf"
