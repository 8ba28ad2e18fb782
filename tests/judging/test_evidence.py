import json
import math

import numpy as np
import pytest

from fixtures.recording.artifacts import number
from harness.judging.evidence import MissingEvidence, Recomputed, Reported


def write(folder, *rows):
    (folder / "telemetry.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Reported(folder)


def test_a_column_is_an_array_over_steps(tmp_path):
    reported = write(tmp_path, {"step": 0, "loss": 2.0}, {"step": 1, "loss": 1.5})

    np.testing.assert_array_equal(reported["loss"], [2.0, 1.5])


@pytest.mark.parametrize("value", [None, "1.0", True, [], {}])
def test_what_is_no_number_becomes_nan(tmp_path, value):
    reported = write(tmp_path, {"step": 0, "loss": 1.0}, {"step": 1, "loss": value})

    assert math.isnan(reported["loss"].ravel()[-1])


def test_an_integer_beyond_float_is_nan():
    assert math.isnan(number(10**400))


def test_lists_of_unequal_length_are_filled_with_nan(tmp_path):
    reported = write(tmp_path, {"step": 0, "per_rank": [1.0, 2.0]}, {"step": 1, "per_rank": [3.0]})

    np.testing.assert_array_equal(reported.per_rank("per_rank"), [[1.0, 2.0], [3.0, math.nan]])


def test_a_column_cannot_be_written_to(tmp_path):
    with pytest.raises(ValueError, match="read-only"):
        write(tmp_path, {"step": 0, "loss": 1.0})["loss"][0] = 0.0


def test_a_missing_column_is_missing_evidence(tmp_path):
    with pytest.raises(MissingEvidence, match="the run's telemetry has no column `loss`"):
        write(tmp_path, {"step": 0})["loss"]


def test_a_missing_exhibit_is_missing_evidence(tmp_path):
    with pytest.raises(MissingEvidence, match=r"the run left no total\.json"):
        write(tmp_path).artifact("total")


def test_what_could_not_be_recomputed_says_why():
    with pytest.raises(MissingEvidence, match="nothing could be recomputed: no weights"):
        Recomputed({}, "no weights")["loss"]


def test_a_list_in_a_column_of_numbers_is_no_number(tmp_path):
    reported = write(tmp_path, {"step": 0, "loss": [1.0, 2.0]}, {"step": 1, "loss": 3.0})

    np.testing.assert_array_equal(reported["loss"], [math.nan, 3.0])


def test_a_column_of_more_ranks_than_there_can_be_is_missing_evidence(tmp_path):
    with pytest.raises(MissingEvidence, match="holds no list of up to 64 ranks"):
        write(tmp_path, {"step": 0, "updates": [1] * 100_000}).per_rank("updates")


def test_rows_that_the_run_went_back_on_are_kept_apart(tmp_path):
    reported = write(tmp_path, {"step": 0}, {"step": 1}, {"step": 0}, {"step": 1})

    assert len(reported.rows) == 2
    assert len(reported.rows_written) == 4
