import numpy as np
import pytest
from incidents_proof import accuracy, nearest_neighbours, rise

from fixtures.incidents.scenarios import KINDS
from fixtures.incidents.windows import Incident


def incident(seed, kind, curve):
    return Incident({"public_loss": np.array(curve, dtype=float), "telltale": kind}, {"cause": kind}, seed, 0)


def jump(height, length, at=6):
    curve = np.ones(15)
    curve[at : at + length] += height
    return curve


@pytest.fixture
def telling():
    """Curves whose length tells the cause."""
    rng = np.random.default_rng(0)
    return [
        incident(seed, kind, jump(rng.uniform(0.5, 2), 1 + 2 * n, at=5))
        for seed in range(8)
        for n, kind in enumerate(KINDS)
        if n != 4 or seed
    ]


def test_a_curve_that_tells_the_cause_is_noticed(telling):
    assert nearest_neighbours(telling, 3) > 0.9


def test_a_curve_that_does_not_tell_the_cause_is_no_better_than_chance():
    rng = np.random.default_rng(0)
    alike = [incident(seed, kind, jump(rng.uniform(0.5, 2), rng.integers(1, 9))) for seed in range(20) for kind in KINDS]

    assert nearest_neighbours(alike, 3) < 0.4


def test_neighbours_of_the_same_seed_do_not_count():
    one_seed = [incident(0, kind, jump(1, 1 + n)) for n, kind in enumerate(KINDS)] + [incident(1, "data", jump(1, 5))]

    assert nearest_neighbours(one_seed, 1) <= 1 / 3


def test_the_rise_is_over_the_calm_steps():
    assert rise(incident(0, "lr", jump(0.7, 2))) == pytest.approx(0.7)


def test_whoever_lacks_the_column_is_wrong(telling):
    def diagnose(telemetry):
        return {"cause": telemetry.get("telltale")}

    assert (accuracy(diagnose, telling), accuracy(diagnose, telling, drop="telltale")) == (1.0, 0.0)
