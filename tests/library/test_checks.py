import re

import numpy as np
import pytest

from dlcourse import _checks


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_come_back_as_they_are(dtype):
    x = np.ones(3, dtype)
    assert _checks.floats(x, "x") is x


def test_lists_of_floats_become_arrays():
    np.testing.assert_array_equal(_checks.floats([1.0, 2.0], "x"), np.array([1.0, 2.0]))


@pytest.mark.parametrize("x", [[1, 2], [True, False], ["a"], [1 + 2j]])
def test_what_is_no_float_is_refused_with_the_cure(x):
    with pytest.raises(ValueError, match=re.escape("Use `np.asarray(wage, dtype=float)`")):
        _checks.floats(x, "wage")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_number_is_enough(bad):
    with pytest.raises(ValueError, match="`wage` must be finite.*impute"):
        _checks.floats(np.array([1.0, bad]), "wage")


def test_shapes_that_numpy_would_broadcast_are_refused():
    _checks.same_shape(np.ones(3), np.zeros(3), ("a", "b"))
    with pytest.raises(ValueError, match=r"`a` and `b` must have one shape.*ravel"):
        _checks.same_shape(np.ones((3, 1)), np.ones(3), ("a", "b"))


def test_regression_data_come_back_as_they_are(rng):
    X, y = rng.normal(size=(5, 2)), rng.normal(size=5)
    checked = _checks.regression_data(X, y)
    assert checked[0] is X
    assert checked[1] is y


@pytest.mark.parametrize("shape", [(5,), (5, 0), (0, 5), (5, 2, 1)])
def test_a_design_is_a_matrix_with_rows_and_columns(shape):
    with pytest.raises(ValueError, match=re.escape(f"got shape {shape}")):
        _checks.design_matrix(np.ones(shape))


@pytest.mark.parametrize("shape", [(5, 1), (4,), (1, 5), ()])
def test_an_outcome_is_a_vector_with_one_entry_a_row(shape):
    with pytest.raises(ValueError, match=r"`y` must have shape \(5,\).*ravel"):
        _checks.regression_data(np.ones((5, 2)), np.ones(shape))


def test_positive_numbers_pass():
    _checks.positive(1e-300, "step")


@pytest.mark.parametrize("bad", [0, -1.0, np.nan, np.inf])
def test_what_is_not_positive_is_refused(bad):
    with pytest.raises(ValueError, match="`step` must be a positive number, got"):
        _checks.positive(bad, "step")
