"""Separable classes: the widest margin, and gradient descent on its way to it."""

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize

from dlcourse.chapters.logistic_regression.separation import escape, two_groups
from dlcourse.linear.margins import widest_margin


@pytest.fixture
def groups(rng):
    return two_groups(40, gap=0.4, rng=rng)


def test_no_point_is_nearer_to_the_line_than_the_gap(groups):
    margins = (2 * groups.y - 1) * (groups.X @ groups.direction)
    assert margins.min() >= groups.gap
    assert groups.y.sum() == 20
    with pytest.raises(ValueError, match="`gap` must be a positive number"):
        two_groups(40, gap=0.0, rng=None)


@pytest.mark.proves("eq-logistic-widest-margin", by="independent")
def test_the_widest_margin_is_the_shortest_vector_that_keeps_the_margins(rng):
    for n, p in ((12, 2), (30, 4), (5, 8)):
        y = (np.arange(n) % 2).astype(float)
        X = rng.normal(size=(n, p)) + 3 * (2 * y - 1)[:, None]
        ours, A = widest_margin(X, y), (2 * y - 1)[:, None] * X
        assert (A @ ours).min() == pytest.approx(1, abs=1e-9)
        found = scipy_minimize(
            lambda w: w @ w / 2,
            np.ones(p),
            jac=lambda w: w,
            constraints={"type": "ineq", "fun": lambda w, A=A: A @ w - 1, "jac": lambda w, A=A: A},
            options={"ftol": 1e-14, "maxiter": 500},
        )
        np.testing.assert_allclose(ours, found.x, atol=1e-5)


def test_the_planted_direction_is_no_wider_than_the_widest(groups):
    w_hat = widest_margin(groups.X, groups.y)
    assert 1 / np.linalg.norm(w_hat) >= groups.gap


@pytest.mark.parametrize("middle", [0.0, -0.5])  # the classes touch, or overlap
def test_classes_that_are_not_completely_separable_are_refused(middle):
    X = np.array([[-1.0], [middle], [middle], [2.0]])
    with pytest.raises(ValueError, match="must be completely separable"):
        widest_margin(X, np.array([0.0, 0.0, 1.0, 1.0]))


@pytest.mark.proves("thm-logistic-implicit-bias", "eq-logistic-implicit-bias", by="instances")
@pytest.mark.parametrize("seed", range(4))
def test_what_is_left_after_the_logarithm_settles(seed):
    path = escape(two_groups(40, gap=0.4, rng=np.random.default_rng(seed)), n_steps=10_000)
    rest = path.points - np.log(path.steps)[:, None] * path.w_hat
    moves = [np.linalg.norm(rest[path.at(10 * k)] - rest[path.at(k)]) for k in (1, 10, 100, 1_000)]
    assert moves[3] < moves[2] < moves[1]  # bounded: each decade moves it less
    assert moves[3] < 0.25 * np.log(10) * np.linalg.norm(path.w_hat)
    assert path.degrees[-1] < path.degrees[path.at(10)] < path.degrees[0]
    assert path.growth[-3] == pytest.approx(np.linalg.norm(path.w_hat), rel=0.25)


def test_the_loss_goes_to_zero_and_the_length_to_infinity(groups):
    path = escape(groups, n_steps=1_000)
    assert (np.diff(path.losses) < 0).all()
    assert (np.diff(path.lengths) > 0).all()
    assert path.table().columns["steps"] == ["10", "100", "1,000"]
    assert path.steps[path.at(100)] == 100
