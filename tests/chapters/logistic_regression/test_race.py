"""The bare methods, step by step, and the record of their race."""

import numpy as np
import pytest

from dlcourse.chapters.logistic_regression.race import Race, descent_against_newton
from dlcourse.linear import logistic
from dlcourse.linear.logit_inference import logit_data
from dlcourse.linear.newton import Newton
from dlcourse.losses import LogisticLoss
from dlcourse.optim import minimize


@pytest.fixture
def data(rng):
    return logit_data(300, np.array([-0.5, 1.0, -1.0]), rng, correlation=0.5)


def test_both_methods_arrive_at_the_estimate_of_the_solver(data):
    result = descent_against_newton(data.X, data.y, n_steps=400)
    best = logistic.by_newton(data.X, data.y).coefficients
    assert result.size == pytest.approx(np.linalg.norm(best))
    assert result.newton[0] == result.descent[0] == pytest.approx(result.size)
    assert result.newton[-1] < 1e-13
    assert result.descent[-1] < 1e-8
    assert (np.diff(result.descent[:60]) < 0).all()  # later ones are rounding


def test_digits_double_with_each_newton_step(data):
    result = descent_against_newton(data.X, data.y, n_steps=1)
    digits = result.digits(result.newton)
    assert digits[0] == 0
    for old, new in zip(digits[2:4], digits[3:5], strict=True):
        assert new > 1.7 * old


def test_the_factor_of_descent_is_the_one_seen(data):
    result = descent_against_newton(data.X, data.y, n_steps=100)
    assert result.descent[100] > 1e-10
    seen = result.descent[100] / result.descent[99]
    assert seen == pytest.approx(result.descent_factor, rel=1e-3)


def test_the_race_prints_no_digits_of_rounding(data):
    table = descent_against_newton(data.X, data.y, n_steps=100).table()
    assert table.columns["steps"] == ["1", "2", "3", "4", "5", "6", "10", "100"]
    assert table.columns["Newton, correct digits"][-1] == "all"
    assert "all" not in table.columns["gradient descent"]


def test_full_newton_steps_run_away_from_the_wrong_side(data):
    loss = LogisticLoss(data.X, data.y)
    full = Newton(lambda beta: logistic.hessian(data.X, beta))
    values = minimize(loss, -3 * data.beta, full, max_steps=2).values
    assert values[-1] > 10 * values[0]
    assert logistic.by_newton(data.X, data.y).is_converged  # which shortens its steps


def test_the_prose_counts_digits_and_steps_of_made_up_errors():
    descent = 2.0 * 0.5 ** np.arange(80)
    newton = 2.0 * 10.0 ** -np.array([0, 1, 2, 3, 6, 12])
    assert Race(newton, descent, descent_factor=0.25, size=2.0).prose() == {
        "lr_digits_3": "3",
        "lr_digits_4": "6",
        "lr_digits_5": "12",
        "lr_descent_steps": "34",  # 0.5 ** 34 is the first power below 1e-10
        "lr_factor": "0.250",
        "lr_factor_seen": "0.500",
    }
