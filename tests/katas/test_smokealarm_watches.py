import pickle

import numpy as np
import pytest
from watches import Watch, watch

from fixtures.incidents import windows
from fixtures.incidents.scenarios import BASE_STEPS
from fixtures.incidents.windows import COLUMNS

pytestmark = pytest.mark.slow
PLAN = [
    Watch(0, "data", "random_tokens", 33, 39),
    Watch(0, "clean", "random_tokens", 33, 39),
    Watch(1, "lr", "matrices", 24, 31),
    Watch(2, "benign", "new_source", 26, 33),
]


@pytest.fixture(scope="module")
def runs(made_once):
    folder = made_once("watches", lambda folder: (folder / "runs").write_bytes(pickle.dumps(watch(windows.world(5), PLAN))))
    return pickle.loads((folder / "runs").read_bytes())


def test_a_run_has_every_column_up_to_its_last_step(runs):
    for telemetry, w in zip(runs, PLAN, strict=True):
        assert set(telemetry) == set(COLUMNS)
        assert len(telemetry["step"]) == len(telemetry["val_loss"]) == w.num_steps
        assert len(telemetry["public_loss"]) == w.num_steps // 5
        assert all(int(line.split()[1]) < BASE_STEPS + w.num_steps for line in telemetry["log"])


def test_two_of_a_number_are_one_run_up_to_the_first_bad_step(runs):
    bad, clean = runs[:2]

    assert all(np.array_equal(bad[name][:33], clean[name][:33], equal_nan=True) for name in bad if len(bad[name]) == 39)
    assert np.array_equal(bad["public_loss"][:6], clean["public_loss"][:6])
    assert bad["loss_per_rank"][33].max() > clean["loss_per_rank"][33].max() + 0.3


def test_a_fault_sets_in_at_its_onset(runs):
    rate = runs[2]["lr_applied"]

    assert rate[24, 1] > 1.35 * rate[23, 1] and rate[23, 1] < 1.3 * rate[0, 1]


def test_only_what_harms_has_a_first_bad_step():
    assert [w.first_bad_step for w in PLAN] == [BASE_STEPS + 33, None, BASE_STEPS + 24, None]
