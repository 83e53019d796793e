import numpy as np
import pandas as pd
import pytest
import sympy
import torch

from dlcourse.gradcheck import check_gradient, numerical_gradient
from dlcourse.losses import LogisticLoss, Quadratic, SoftmaxLoss, SquaredError, SumOfSquares


def data(rng, n=12, p=3):
    return rng.normal(size=(n, p)), rng.normal(size=n)


def bowl(rng, p=3):
    B = rng.normal(size=(p, p))
    return Quadratic(B @ B.T + np.eye(p), rng.normal(size=p))


LOSSES = {
    "J": lambda rng: SquaredError(*data(rng)),
    "S": lambda rng: SumOfSquares(*data(rng)),
    "quadratic": bowl,
}
every_loss = pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)


@every_loss
@pytest.mark.proves("eq-ols-gradient", by="derivative")
def test_gradients_have_the_right_slope(make, rng):
    check_gradient(make(rng), rng.normal(size=3), rng)


@every_loss
def test_runs_do_not_mix(make, rng):
    loss, points = make(rng), rng.normal(size=(2, 5, 3))
    values, gradients = loss(points)
    assert values.shape == (2, 5)
    for index in np.ndindex(2, 5):
        value, gradient = loss(points[index])
        np.testing.assert_allclose(values[index], value, rtol=1e-13)
        np.testing.assert_allclose(gradients[index], gradient, rtol=1e-12)


@pytest.mark.proves("eq-sum-of-squares", "eq-half-mean-squared-error", by="independent")
def test_the_losses_are_the_written_sums(rng):
    (X, y), beta = data(rng), rng.normal(size=3)
    total = sum((y[i] - sum(X[i, j] * beta[j] for j in range(3))) ** 2 for i in range(12))
    assert SumOfSquares(X, y)(beta)[0] == pytest.approx(total, rel=1e-13)
    assert SquaredError(X, y)(beta)[0] == pytest.approx(total / (2 * 12), rel=1e-13)


@pytest.mark.proves(
    "eq-residual-derivative", "eq-gradient-coordinate", "eq-ols-gradient", by="symbolic"
)
def test_sympy_derives_the_same_gradient(rng):
    n, p = 3, 2
    X = sympy.Matrix(n, p, lambda i, j: sympy.Symbol(f"x{i}{j}"))
    y, beta = (sympy.Matrix(sympy.symbols(f"{name}:{k}")) for name, k in (("y", n), ("b", p)))
    r = X * beta - y
    J = (r.T * r)[0] / (2 * n)
    for j in range(p):
        for i in range(n):
            assert sympy.diff(r[i], beta[j]) == X[i, j]
        summed = sum(r[i] * X[i, j] for i in range(n)) / n
        assert sympy.simplify(sympy.diff(J, beta[j]) - summed) == 0
        assert sympy.simplify(summed - (X.T * r / n)[j]) == 0


@pytest.mark.proves("eq-ols-gradient", "eq-half-mean-squared-error", by="independent")
def test_torch_agrees_on_value_and_gradient(rng):
    (X, y), at = data(rng), rng.normal(size=3)
    beta = torch.tensor(at, requires_grad=True)
    theirs = torch.nn.functional.mse_loss(torch.tensor(X) @ beta, torch.tensor(y)) / 2
    theirs.backward()
    value, gradient = SquaredError(X, y)(at)
    np.testing.assert_allclose(value, theirs.item(), rtol=1e-13)
    np.testing.assert_allclose(gradient, beta.grad.numpy(), rtol=1e-12)


@pytest.mark.erratum("E04")
def test_the_gradient_without_its_sum_is_wrong_whatever_row_is_left(rng):
    m = 30
    x = rng.normal(size=m)
    X, y = np.column_stack([np.ones(m), x]), 1.0 + 2.0 * x + rng.normal(size=m)
    theta = np.zeros(2)
    differences = numerical_gradient(SquaredError(X, y), theta)
    residual = X @ theta - y
    as_printed = residual[:, None] * X / m  # one row's term: the slide leaves i open
    assert not np.isclose(as_printed, differences, rtol=1e-2).all(axis=1).any()
    np.testing.assert_allclose(as_printed.sum(axis=0), differences, rtol=1e-7)


@pytest.mark.parametrize("loss", [SquaredError, SumOfSquares])
@pytest.mark.bad_input
def test_a_column_for_an_outcome_is_refused(loss, rng):
    X, y = data(rng)
    with pytest.raises(ValueError, match="`y.ravel"):
        loss(X, y[:, None])


def test_the_quadratic_is_the_written_form(rng):
    f, x = bowl(rng), rng.normal(size=3)
    assert f(x)[0] == pytest.approx((x - f.center) @ f.A @ (x - f.center) / 2, rel=1e-13)
    assert f(f.center)[0] == 0


def test_a_quadratic_needs_a_symmetric_matrix():
    with pytest.raises(ValueError, match=r"`A` must be symmetric.*\(A \+ A.T\) / 2"):
        Quadratic(np.array([[1.0, 1.0], [0.0, 1.0]]), np.zeros(2))


@pytest.mark.parametrize("center", [np.zeros(3), np.zeros((2, 1))])
@pytest.mark.bad_input
def test_a_quadratic_needs_shapes_that_fit(center):
    with pytest.raises(ValueError, match="`A` must be a matrix"):
        Quadratic(np.eye(2), center)


@pytest.mark.parametrize("make", [SquaredError, SumOfSquares, LogisticLoss, SoftmaxLoss])
@pytest.mark.converted
def test_data_are_converted_once(make, rng):
    X, y = rng.integers(-5, 6, size=(20, 2)), np.arange(20) % 2
    labels = y if make is SoftmaxLoss else y.astype(float)
    x = rng.normal(size=4 if make is SoftmaxLoss else 2)
    value, gradient = make(X.astype(float), labels)(x)
    index = rng.permutation(20)  # which must align nothing
    for data in ((X, y), (X.tolist(), y.tolist()), (pd.DataFrame(X, index), pd.Series(y, index))):
        ours = make(*data)(x.tolist())
        assert ours[0] == pytest.approx(value, rel=1e-14)
        np.testing.assert_allclose(ours[1], gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.converted
def test_a_bowl_takes_integers_and_lists():
    value, gradient = Quadratic([[2, 0], [0, 4]], [1, 1])([0, 0])
    assert value == 3
    np.testing.assert_array_equal(gradient, [-2.0, -4.0])


@pytest.mark.parametrize("beta", [np.zeros(3), np.zeros((2, 1)), 0.0, []])
@pytest.mark.bad_input
def test_a_point_of_another_length_is_refused(beta, rng):
    X, y = data(rng)
    p = X.shape[1]
    for loss in (SquaredError(X, y), LogisticLoss(X, (y > 0) * 1.0), Quadratic(np.eye(p), y[:p])):
        if np.shape(beta)[-1:] != (p,):
            with pytest.raises(ValueError, match=rf"must hold {p} numbers"):
                loss(beta)


@pytest.mark.parametrize("lam", [-1.0, np.nan, np.ones(20), np.ones((2, 1))])
@pytest.mark.bad_input
def test_penalties_that_are_negative_or_would_broadcast_are_refused(lam, rng):
    X = rng.normal(size=(20, 2))
    for make, y in ((LogisticLoss, np.arange(20) % 2), (SoftmaxLoss, np.arange(20) % 3)):
        with pytest.raises(ValueError, match="`lam` must be"):
            make(X, y, lam)(np.zeros(2 if make is LogisticLoss else 6))


@pytest.mark.parametrize("make", [SquaredError, LogisticLoss, SoftmaxLoss])
@pytest.mark.converted
def test_a_weight_of_two_is_an_observation_seen_twice(make, rng):
    X, y, weights = rng.normal(size=(20, 2)), np.arange(20) % 2, np.arange(20) % 3
    x = rng.normal(size=4 if make is SoftmaxLoss else 2)
    rows = np.repeat(np.arange(20), weights)
    for scale in (1, 7.5):
        value, gradient = make(X, y, weights=scale * weights)(x)
        assert value == pytest.approx(make(X[rows], y[rows])(x)[0], rel=1e-13)
        np.testing.assert_allclose(gradient, make(X[rows], y[rows])(x)[1], rtol=1e-12)
    check_gradient(make(X, y, weights=weights), x, rng)


def test_weights_of_classes_are_those_of_torch(rng):
    X, labels, class_weights = (
        rng.normal(size=(30, 2)),
        np.arange(30) % 3,
        np.array([1.0, 5.0, 0.5]),
    )
    theta = rng.normal(size=(3, 2))
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(X @ theta.T), torch.tensor(labels), weight=torch.tensor(class_weights)
    )
    ours = SoftmaxLoss(X, labels, weights=class_weights[labels])(theta.ravel())[0]
    assert ours == pytest.approx(float(expected), rel=1e-14)


@pytest.mark.parametrize("weights", [-np.ones(20), np.zeros(20), np.ones(3), np.ones((20, 1))])
@pytest.mark.bad_input
def test_bad_weights_are_refused(weights, rng):
    with pytest.raises(ValueError, match=r"`weights` must have shape \(20,\).*class_weights"):
        SquaredError(rng.normal(size=(20, 2)), np.arange(20), weights)


def test_a_class_that_cannot_occur_costs_nothing():
    value, gradient = SoftmaxLoss(np.eye(2), np.array([0, 0]))(np.array([0.0, 0.0, -1e150, 0.0]))
    assert value == pytest.approx(np.log(2) / 2)
    assert np.isfinite(gradient).all()
