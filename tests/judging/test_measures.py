import numpy as np

from harness.judging.measures import relative_difference, running_median, updates_made


def test_the_running_median_looks_back_only():
    np.testing.assert_array_equal(running_median(np.array([1.0, 5.0, 3.0, 9.0]), 2), [1.0, 1.0, 3.0, 4.0])


def test_relative_difference_is_to_the_target():
    assert relative_difference(9.0, 10.0) == 0.1


def test_an_update_that_was_gone_back_on_was_made():
    assert updates_made(np.array([1.0, 0.0, 2.0]), 3) == 3.0
    assert updates_made(np.array([1.0, 1.0]), 4) == 4.0
