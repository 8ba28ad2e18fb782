import pytest

from harness.course.errors import UsageError
from harness.exam.state import (
    FILE,
    Asked,
    Drawn,
    Finished,
    Judged,
    Paused,
    Resumed,
    Started,
    Told,
    append,
    exams,
    new_folder,
    open_exam,
    read,
    refuse_help,
)

SUMS = Drawn("sums", 2_000_007, 5, 1, "toys", 1, False)


def judged(number, exit_code=1, right=(), wrong=("cause",), decided_by=2_000_007, failed=("check_x",), kata="sums"):
    return Judged(0.0, kata, number, number, exit_code, exit_code == 0, () if exit_code == 0 else failed, decided_by, right, wrong, right)


@pytest.fixture
def sit():
    """Return an exam of 10 minutes that began at 1000 s, with what happened later."""

    def sit(*later):
        folder = new_folder()
        for event in (Started(1000.0, 10, 1, "", (SUMS,)), *later):
            append(folder, event)
        return read(folder)

    return sit


def test_the_clock_counts_the_time_that_the_exam_ran(sit):
    exam = sit(Paused(1060.0), Resumed(5060.0), Paused(5090.0))

    assert [exam.clock(t) for t in (900.0, 1030.0, 1060.0, 3000.0, 5060.0, 5080.0, 9000.0)] == [0, 30, 60, 60, 60, 80, 90]
    assert exam.pauses(6090.0) == [(60.0, 4000.0), (90.0, 1000.0)]
    assert exam.paused


def test_the_clock_goes_on_when_nothing_happens_and_ends_at_the_limit(sit):
    exam = sit()

    assert exam.clock(1599.0) == 599.0
    assert (exam.over(1599.0), exam.over(1600.0)) == (False, True)
    assert exam.clock(99999.0) == 600.0


def test_the_clock_stops_when_the_exam_is_finished(sit):
    exam = sit(Paused(1100.0), Finished(1200.0, "asked"))

    assert exam.clock(9999.0) == 100.0
    assert exam.pauses(9999.0) == [(100.0, 100.0)]
    assert exam.over(1201.0)


def test_a_line_that_was_cut_off_is_passed_over_and_what_comes_after_it_is_kept(sit):
    exam = sit(Asked(1010.0, "sums", 1, 0.8))
    with (exam.folder / FILE).open("a") as file:
        file.write('{"time": 1020.0, "event": "tol')

    assert read(exam.folder) == exam
    append(exam.folder, Paused(1030.0))

    assert read(exam.folder).later == (*exam.later, Paused(1030.0))


def test_what_never_started_is_no_exam_and_keeps_its_number(sit):
    new_folder()

    assert exams() == []
    assert sit().number == 2


def test_only_what_runs_or_is_paused_is_open(sit):
    assert open_exam(1000.0) is None
    exam = sit(Paused(1060.0))
    assert open_exam(999999.0) == exam

    append(exam.folder, Finished(1070.0, "asked"))

    assert open_exam(1070.0) is None


@pytest.mark.parametrize(
    ("events", "counts"),
    [
        ((judged(1),), True),
        ((judged(1, exit_code=0),), True),
        ((judged(1, exit_code=3),), False),
        ((Told(1.0, "sums", 1, 2_000_007, True), judged(1, exit_code=3)), False),
        ((Told(1.0, "sums", 1, 2_000_007, False),), True),
        ((), False),
    ],
)
def test_an_attempt_counts_when_it_was_judged_or_interrupted_after_a_verdict(sit, events, counts):
    exam = sit(Asked(1010.0, "sums", 1, None), *events)

    assert exam.used(SUMS) == counts
    assert exam.attempts("sums")[0].at_s == 10.0


def test_help_is_refused_for_the_katas_of_an_open_exam_alone(sit):
    sit()

    refuse_help("doubles", "hints", 1100.0)
    refuse_help("sums", "hints", 1700.0)
    with pytest.raises(UsageError, match="`sums` is in exam 1, which is open: hints must wait until it ends") as refused:
        refuse_help("sums", "hints", 1100.0)
    assert "make exam-finish" in str(refused.value)


def test_a_kata_that_is_not_in_the_exam_is_named_with_those_that_are(sit):
    with pytest.raises(UsageError, match="`doubles` is not in exam 1; it has `sums`"):
        sit().of("doubles")
