"""The displays of the docstrings, evaluated with the functions' own arguments."""

import numpy as np
import pytest

from dlcourse import datasets, functions
from dlcourse.gradcheck import numerical_gradient
from dlcourse.losses import LogisticLoss, Quadratic, SoftmaxLoss, SumOfSquares
from tools.formula import one_based


def column(x):
    return np.asarray(x)[:, None]


def on_columns(f):
    """Value and gradient of a loss or a function as functions of a column."""
    return lambda x: float(f(np.ravel(x))[0]), lambda x: column(f(np.ravel(x))[1])


@pytest.fixture
def X(rng):
    return rng.normal(size=(7, 3))


def test_gradients_of_squares_are_matrix_products(displayed, X, rng):
    y, beta, center = rng.normal(size=7), column(rng.normal(size=3)), rng.normal(size=3)
    _, gradient = on_columns(SumOfSquares(X, y))
    names = {r"\nabla S": gradient, "X": X, "y": column(y), r"\beta": beta}
    assert displayed("dlcourse.losses.SumOfSquares").holds(names)
    f, gradient = on_columns(Quadratic(X.T @ X, center))
    names = {"f": f, r"\nabla f": gradient, "A": X.T @ X, "c": column(center), "x": beta}
    assert displayed("dlcourse.losses.Quadratic").holds(names)


def test_the_logistic_loss_has_one_penalty_a_coefficient(displayed, X, rng):
    y, lam, beta = np.arange(7) % 2 * 1.0, np.array([0.3, 0.0, 1.7]), rng.normal(size=3)
    loss = LogisticLoss(X, y, lam)
    p = 1 / (1 + np.exp(-X @ beta))
    names = {"J": on_columns(loss)[0], r"\beta": column(beta), r"\lambda": lam, "n": 7, "i": 3}
    names |= {"x": one_based(X[:, :, None]), "y": one_based(y), "p": one_based(p), "j": range(3)}
    assert displayed("dlcourse.losses.LogisticLoss").holds(names)
    slopes = numerical_gradient(loss, beta), loss(beta)[1]
    np.testing.assert_allclose(*slopes, rtol=1e-8)
    for j in (1, 3):
        names |= {r"\frac{\partial J}{\partial \beta_j}": slopes[1][j - 1], "j": j}
        names |= {r"\beta": one_based(beta), r"\lambda": one_based(lam)}
        assert displayed("dlcourse.losses.LogisticLoss:2").holds(names)


def test_the_softmax_loss_has_one_penalty_a_coefficient(displayed, X, rng):
    labels, lam, theta = (
        np.array([0, 1, 2, 3, 3, 1, 0]),
        rng.random(size=(4, 3)),
        rng.normal(size=(4, 3)),
    )
    loss = SoftmaxLoss(X, labels, lam.ravel())
    p = np.exp(X @ theta.T)
    p /= p.sum(1, keepdims=True)
    names = {
        "J": lambda at: float(loss(np.ravel([at(k) for k in range(4)]))[0]),
        r"\lambda": lam,
        "n": 7,
        "i": 3,
        "k": 1,
    }
    names |= {r"\theta": lambda k, j=None: column(theta[k]) if j is None else theta[k, j]}
    names |= {"x": one_based(X[:, :, None]), "y": one_based(labels), "j": range(3), "l": range(4)}
    names |= {"p": lambda i, k: p[i - 1, k]}
    assert displayed("dlcourse.losses.SoftmaxLoss").holds(names)
    _, gradient = loss(theta.ravel())
    np.testing.assert_allclose(gradient, numerical_gradient(loss, theta.ravel()), rtol=1e-8)
    for k, j in ((0, 1), (3, 2)):
        names |= {r"\frac{\partial J}{\partial \theta_{kj}}": gradient.reshape(4, 3)[k, j]}
        names |= {"k": k, "j": j, r"\theta": theta, "x": lambda i, j: X[i - 1, j]}
        assert displayed("dlcourse.losses.SoftmaxLoss:2").holds(names)


def test_functions_are_what_their_docstrings_show(displayed, X, rng):
    for x in rng.normal(size=(2, 3)):
        center = rng.normal(size=3)
        f, _ = on_columns(functions.LogCosh(X, center, m=0.3))
        names = {"f": f, "a": one_based(X[:, :, None]), "c": column(center), "m": 0.3}
        names |= {"x": column(x), "n": 7}
        assert displayed("dlcourse.functions.LogCosh").holds(names)
        names["f"], _ = on_columns(functions.Waves(X, m=0.3))
        assert displayed("dlcourse.functions.Waves").holds(names)


def test_the_double_well_is_tilted_along_u(displayed):
    well, _ = on_columns(functions.DoubleWell(tilt=0.4))
    for u, v in ((0.7, -1.2), (-1.4, 0.3)):
        names = {"f": lambda *x: well(x), "u": u, "v": v, r"\tau": 0.4}
        assert displayed("dlcourse.functions.DoubleWell").holds(names)


def test_functions_of_one_coordinate_are_what_their_docstrings_show(displayed):
    for x in (-0.7, 0.4, 1.6, 2.3):
        names = {"f'": lambda x: functions.LessardBowl()(np.array([x]))[1].item(), "x": x}
        assert displayed("dlcourse.functions.LessardBowl").holds(names)
    for x in (0.6, 3.1):
        names = {"f": lambda x: float(functions.SlowSlope()(np.array([x]))[0]), "x": x}
        assert displayed("dlcourse.functions.SlowSlope").holds(names)


def test_the_decoy_is_nearly_the_sum_that_makes_y(displayed):
    data, rng = datasets.decoy(9, np.random.default_rng(5)), np.random.default_rng(5)
    _, v, u = rng.normal(size=(9, 8)), rng.normal(size=(9, 1)), rng.normal(size=(9, 1))
    names = {"x": one_based(data.X.T[:, :, None]), "y": column(data.y), "u": u, "v": v}
    assert displayed("dlcourse.datasets.decoy").holds(names)
