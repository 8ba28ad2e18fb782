import pytest

from harness.course.kata import load_kata
from harness.exam.scorecard import clock, score
from harness.exam.state import Asked, Drawn, Finished, Judged, Paused, Resumed, Started, append, new_folder, read

SUMS = Drawn("sums", 2_000_007, 5, 1, "toys", 1, False)
DOUBLES = Drawn("doubles", 2_000_008, 5, 1, "toys", 1, False)


@pytest.fixture
def card(toys):
    """Return the score card of an exam of 90 minutes that began at 0 s."""

    def card(*events, time=3000.0):
        folder = new_folder()
        for event in (Started(0.0, 90, 1, "", (SUMS, DOUBLES)), *events):
            append(folder, event)
        return score(read(folder), {name: load_kata(toys / name) for name in ("sums", "doubles")}, time)

    return card


def check(time, kata, number, exit_code, right=(), wrong=("cause",), confidence=None, filled=("cause", "step")):
    seed = {"sums": 2_000_007, "doubles": 2_000_008}[kata]
    failed = () if exit_code == 0 else ("check_x",)
    done = Judged(time + 5, kata, number, 100 + number, exit_code, exit_code == 0, failed, seed, right, wrong, filled)
    return Asked(time, kata, number, confidence), done


def test_first_evidence_is_the_first_attempt_with_a_right_field(card):
    found = card(
        *check(60, "sums", 1, 1), *check(120, "sums", 2, 1, ("cause",), ("step",)), *check(300, "sums", 3, 0, ("cause", "step"), ())
    )

    sums, doubles = found.katas
    assert (sums.first_evidence_s, sums.fixed_s, sums.used) == (120, 300, 3)
    assert sums.diagnosis == (("cause", "step"), ())
    assert (doubles.first_evidence_s, doubles.fixed, doubles.used, doubles.diagnosis) == (None, False, 0, ((), ()))


def test_a_field_that_is_right_because_it_was_left_empty_is_no_evidence(card):
    found = card(*check(60, "sums", 1, 1, ("shard",), ("cause",), filled=("cause",)))

    assert found.katas[0].first_evidence_s is None
    assert found.katas[0].diagnosis == (("shard",), ("cause",))


def test_times_leave_pauses_out_and_are_told_since_turning_to_the_kata(card):
    found = card(
        *check(60, "sums", 1, 0), Paused(100.0), Resumed(400.0), *check(460, "doubles", 1, 0, ("cause",), ()), Finished(1000.0, "asked")
    )

    doubles = found.katas[1]
    assert clock(doubles.fixed_s, doubles.turned_s) == "2:40 (1:40)"
    assert found.katas[0].turned_s == 0
    assert (found.used_s, found.pauses) == (700, ((100, 300),))


def test_calibration_is_the_mean_squared_error_of_what_was_claimed(card):
    found = card(
        *check(60, "sums", 1, 1, confidence=0.9),
        *check(90, "sums", 2, 0, confidence=0.6),
        *check(99, "doubles", 1, 1),
        *check(120, "doubles", 2, 3, confidence=1.0),
        *check(150, "sums", 3, 0, confidence=1.0),
    )

    assert found.brier == pytest.approx((0.81 + 0.16) / 2)
    assert [(claim.kata, claim.number, claim.held) for claim in found.claims] == [("sums", 1, False), ("sums", 2, True)]
    assert card(*check(60, "sums", 1, 1)).brier is None


def test_a_diagnosis_stands_as_it_was_last_judged(card):
    found = card(
        *check(60, "sums", 1, 1, ("cause", "step"), ()), *check(90, "sums", 2, 1, ("cause",), ("step",)), *check(99, "sums", 3, 3, (), ())
    )

    assert found.katas[0].diagnosis == (("cause",), ("step",))
    assert found.katas[0].used == 2


def test_a_clock_is_minutes_and_seconds():
    assert [clock(0), clock(59.6), clock(5400), clock(None, 3.0)] == ["0:00", "1:00", "90:00", "–"]
