import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcourse import gradcheck
from dlcourse.gradcheck import check_gradient, numerical_gradient

seeds = st.integers(0, 2**32 - 1)


def logistic(x):
    """A smooth function with no special symmetry, and its gradient."""
    weights = np.arange(1.0, x.shape[-1] + 1)
    inner = x @ weights / weights.sum()
    value = np.logaddexp(0, inner) + np.sin(x).sum(-1)
    gradient = np.cos(x) + (weights / weights.sum()) / (1 + np.exp(-inner))[..., None]
    return value, gradient


@settings(deadline=None, derandomize=True)
@given(seed=seeds, p=st.integers(1, 40), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_right_gradients_pass_at_any_scale_of_f(seed, p, scale):
    rng = np.random.default_rng(seed)
    check_gradient(lambda x: tuple(scale * part for part in logistic(x)), rng.normal(size=p), rng)


@settings(deadline=None, derandomize=True)
@given(seed=seeds, p=st.integers(1, 40), data=st.data())
def test_an_error_of_a_thousandth_in_one_coordinate_is_caught(seed, p, data):
    rng, j = np.random.default_rng(seed), data.draw(st.integers(0, p - 1))
    x = rng.normal(size=p)
    x[j] = 0.5  # where the coordinate of the gradient is not near zero

    def planted(x):
        value, gradient = logistic(x)
        gradient[..., j] *= 1.001
        return value, gradient

    with pytest.raises(AssertionError, match="planted: the gradient says slope"):
        check_gradient(planted, x, rng)


def test_a_leading_runs_axis_is_checked_at_once(rng):
    x = rng.normal(size=(4, 3))
    check_gradient(logistic, x, rng)
    with pytest.raises(AssertionError):
        check_gradient(
            lambda x: (logistic(x)[0], logistic(x)[1] * [[1], [1], [1.001], [1]]), x, rng
        )


def test_points_far_from_zero_are_checked_with_a_longer_step(rng):
    check_gradient(lambda x: ((x**2).sum(), 2 * x), 1e6 * rng.normal(size=5), rng)


def test_nan_never_passes(rng):
    with pytest.raises(AssertionError):
        check_gradient(lambda x: (x @ x, np.full_like(x, np.nan)), np.ones(2), rng)


def test_the_point_is_left_as_it_was(rng):
    x = rng.normal(size=3)
    before = x.copy()
    check_gradient(logistic, x, rng)
    numerical_gradient(logistic, x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.proves("eq-directional-difference", by="derivative")
def test_central_differences_miss_a_slope_by_h_squared(rng, monkeypatch):
    x, direction = rng.normal(size=3), np.array([0.6, 0.0, 0.8])
    slope = logistic(x)[1] @ direction
    misses = []
    for h in (1e-2, 5e-3):
        monkeypatch.setattr(gradcheck, "STEP", h / max(1.0, np.abs(x).max()))
        misses.append(gradcheck._slope(logistic, x, direction)[0] - slope)
    assert misses[0] / misses[1] == pytest.approx(4, rel=1e-2)


def test_the_numerical_gradient_has_every_coordinate(rng):
    x = rng.normal(size=(2, 3))
    np.testing.assert_allclose(numerical_gradient(logistic, x), logistic(x)[1], rtol=1e-7)


def test_compare_sorts_right_from_wrong_claims(rng):
    x = rng.normal(size=4)
    gradient = logistic(x)[1]
    one_off = gradient * np.array([1, 1, 1, 1.001])
    verdicts = gradcheck.verdicts(logistic, x, {"right": gradient, "one off": one_off})
    assert verdicts.columns["agrees with differences"] == ["True", "False"]


def test_a_record_is_named_by_its_class(rng):
    class Wrong:
        def __call__(self, x):
            return x @ x, x

    with pytest.raises(AssertionError, match="Wrong: the gradient says"):
        check_gradient(Wrong(), np.ones(3), rng)


@pytest.mark.parametrize("x", [np.ones(3, np.float32), np.ones(3, int)])
@pytest.mark.bad_input
def test_points_in_few_digits_are_refused(rng, x):
    with pytest.raises(ValueError, match="`x` must"):
        check_gradient(logistic, x, rng)


def test_functions_that_compute_in_few_digits_are_refused(rng):
    def single(x):
        return np.float32(x @ x), 2 * x

    with pytest.raises(ValueError, match="`f` must return float64 values, got float32"):
        check_gradient(single, np.ones(3), rng)


def test_a_gradient_of_the_wrong_shape_is_refused(rng):
    with pytest.raises(ValueError, match="`gradient of f` and `x` must have one shape"):
        check_gradient(lambda x: (x @ x, 2 * x[:, None]), np.ones(3), rng)
