import json
import math

import pytest

from harness.course.errors import KataError
from harness.judging.bands import Bands, read_baseline


@pytest.fixture
def bands(tmp_path):
    return Bands({"loss": {"mean": 1.0, "sd": 0.1}}, tmp_path / "x" / ".meta" / "baseline.json")


def test_a_threshold_is_that_many_sd_from_the_reference(bands):
    assert bands("loss", high_sd=6).high == pytest.approx(1.6)
    assert bands("loss", low_sd=6).low == pytest.approx(0.4)


def test_the_margin_is_in_sd_and_negative_where_refused(bands):
    assert not bands("loss", high_sd=6).admits(2.0)
    assert bands.margins[0].sd == pytest.approx(-4.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "1.0", True, [1.0], 10**400])
def test_what_is_no_finite_number_never_passes(bands, value):
    assert not bands("loss", low=-1e300, high=1e300).admits(value)


def test_a_reference_that_does_not_scatter_gives_an_infinite_margin(tmp_path):
    bands = Bands({"jumps": {"mean": 0.0, "sd": 0.0}}, tmp_path / "baseline.json")

    assert not bands("jumps", high=0).admits(1)
    assert bands.margins[0].sd == -math.inf


def test_a_measure_that_was_never_calibrated_asks_for_it(bands):
    with pytest.raises(KataError, match="no measure `accuracy`; run make calibrate KATA=x"):
        bands("accuracy", low=0.5)


def test_while_calibrating_every_value_is_admitted_and_kept(tmp_path):
    bands = Bands({}, tmp_path / "baseline.json", calibrating=True)

    assert bands("accuracy", low=0.5).admits(0.1)
    assert bands.margins[0].value == 0.1


def test_a_kata_without_a_baseline_has_no_measures(tmp_path):
    assert read_baseline(tmp_path / "baseline.json") == {}


def test_a_baseline_is_read_by_measure(tmp_path):
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"measures": {"loss": {"mean": 1.0, "sd": 0.1}}, "refused_by_sd": {}}))

    assert read_baseline(path)["loss"]["mean"] == 1.0


def test_a_band_says_its_limits(bands):
    assert [str(bands("loss", low=0.5)), str(bands("loss", high=2)), str(bands("loss", low=0, high=1.23456))] == [
        "at least 0.5",
        "at most 2",
        "0 to 1.235",
    ]
