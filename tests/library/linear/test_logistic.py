import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from dlcourse.gradcheck import check_gradient, numerical_gradient
from dlcourse.linear import logistic
from dlcourse.linear.newton import SeparableError
from dlcourse.losses import LogisticLoss, SoftmaxLoss, sigmoid
from dlcourse.optim import GradientDescent, minimize

TRUTH = np.array([0.3, 1.0, -2.0, 0.0])


@pytest.fixture
def binary(rng):
    X = np.column_stack([np.ones(500), rng.normal(size=(500, 3))])
    return X, (rng.random(500) < sigmoid(X @ TRUTH)).astype(float)


@pytest.fixture
def three_classes(rng):
    X = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
    theta = np.array([[0.0, 1.0, 0.0], [0.5, -1.0, 0.5], [-0.5, 0.0, -1.0]])
    draws = X @ theta.T + rng.gumbel(size=(400, 3))  # the largest wins with softmax probability
    return X, draws.argmax(1), theta - theta.mean(0)


def theirs(X, y, **options):
    """scikit-learn's coefficients, the intercept first, from a design with a column of ones."""
    solver = LogisticRegression(solver="newton-cholesky", tol=1e-12, **options)
    fit = solver.fit(X[:, 1:], y)
    return np.column_stack([fit.intercept_, fit.coef_])


# (a) Is the derivative right?


@pytest.mark.erratum("E06")  # the slide leaves the gradient as homework: sum of (p - y) x
def test_the_gradient_of_the_logit_is_the_residual_times_x(binary, rng):
    X, y = binary
    loss, beta = LogisticLoss(X, y), rng.normal(size=4)
    check_gradient(loss, beta, rng)
    check_gradient(LogisticLoss(X, y, lam=np.array([0.0, 0.1, 0.2, 0.3])), beta, rng)
    by_hand = sum((sigmoid(x @ beta) - label) * x for x, label in zip(X, y, strict=True)) / len(y)
    np.testing.assert_allclose(loss(beta)[1], by_hand, rtol=1e-12)


def test_the_gradient_of_softmax_passes_the_check(three_classes, rng):
    X, labels, _ = three_classes
    check_gradient(SoftmaxLoss(X, labels), rng.normal(size=9), rng)
    check_gradient(SoftmaxLoss(X, labels, lam=0.3), rng.normal(size=9), rng)


def test_hessians_are_the_derivatives_of_the_gradients(binary, three_classes, rng):
    X, y = binary
    beta = rng.normal(size=4)
    rows = [
        numerical_gradient(lambda b, j=j: (LogisticLoss(X, y)(b)[1][j], None), beta)
        for j in range(4)
    ]
    np.testing.assert_allclose(logistic.hessian(X, beta), rows, atol=1e-8)
    X, labels, theta = three_classes
    rows = [
        numerical_gradient(lambda t, j=j: (SoftmaxLoss(X, labels)(t)[1][j], None), theta.ravel())
        for j in range(9)
    ]
    np.testing.assert_allclose(logistic.softmax_hessian(X, theta), rows, atol=1e-8)


# (b) Does a trusted library agree?


@pytest.mark.parametrize("lam", [0.0, 0.002, 0.5])
def test_newton_agrees_with_sklearn_at_one_over_n_lam(binary, lam):
    X, y = binary
    C = 1 / (len(y) * lam) if lam else np.inf
    fit = logistic.by_newton(X, y, lam)
    assert fit.is_converged
    np.testing.assert_allclose(fit.coefficients, theirs(X, y, C=C)[0], atol=1e-10)


@pytest.mark.parametrize("lam", [0.002, 0.5])
def test_softmax_agrees_with_sklearn_on_iris(lam):
    X, labels = load_iris(return_X_y=True)
    X = np.column_stack([np.ones(len(X)), X])
    fit = logistic.softmax_by_newton(X, labels, lam)
    np.testing.assert_allclose(fit.coefficients, theirs(X, labels, C=1 / (len(X) * lam)), atol=1e-8)


def test_the_loss_agrees_with_torch(binary, three_classes, rng):
    torch = pytest.importorskip("torch")
    X, y = binary
    scores = torch.tensor(X @ TRUTH)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores, torch.tensor(y))
    assert LogisticLoss(X, y)(TRUTH)[0] == pytest.approx(float(expected), rel=1e-14)
    X, labels, theta = three_classes
    expected = torch.nn.functional.cross_entropy(torch.tensor(X @ theta.T), torch.tensor(labels))
    assert SoftmaxLoss(X, labels)(theta.ravel())[0] == pytest.approx(float(expected), rel=1e-14)


def test_newton_and_gradient_descent_agree(binary, three_classes):
    X, y = binary
    newton = logistic.by_newton(X, y)
    descent = logistic.by_gradient_descent(X, y, tolerance=1e-10)
    assert newton.is_converged
    assert descent.is_converged
    np.testing.assert_allclose(newton.coefficients, descent.coefficients, atol=1e-8)
    newton = logistic.softmax_by_newton(*three_classes[:2])
    descent = logistic.softmax_by_gradient_descent(*three_classes[:2], tolerance=1e-10)
    np.testing.assert_allclose(newton.coefficients, descent.coefficients, atol=1e-8)


@pytest.mark.parametrize("lam", [0.01, 1.0])
def test_newton_and_gradient_descent_agree_under_a_penalty(binary, three_classes, lam):
    for data, newton, descend in (
        (binary, logistic.by_newton, logistic.by_gradient_descent),
        (three_classes[:2], logistic.softmax_by_newton, logistic.softmax_by_gradient_descent),
    ):
        best, found = newton(*data, lam), descend(*data, lam, tolerance=1e-10)
        np.testing.assert_allclose(best.coefficients, found.coefficients, atol=1e-8)
        assert np.abs(newton(*data).coefficients - best.coefficients).max() > 1e-3


def test_newtons_method_proper_doubles_the_digits_at_every_step(binary):
    X, y = binary
    best = logistic.by_newton(X, y).coefficients
    errors = [
        np.abs(logistic.by_newton(X, y, max_steps=k).coefficients - best).max() for k in range(2, 6)
    ]
    assert all(
        new < old**2 for old, new in zip(errors[:-1], errors[1:], strict=True) if new > 1e-13
    )


# (c) Do we recover a known truth?


def test_the_logit_recovers_the_truth_within_four_standard_errors(rng):
    X = np.column_stack([np.ones(20_000), rng.normal(size=(20_000, 3))])
    y = (rng.random(20_000) < sigmoid(X @ TRUTH)).astype(float)
    beta = logistic.by_newton(X, y).coefficients
    standard_errors = np.sqrt(np.diag(logistic.covariance(X, beta)))
    assert (np.abs(beta - TRUTH) < 4 * standard_errors).all()


def test_softmax_recovers_the_identified_part_of_the_truth(rng, three_classes):
    *_, theta = three_classes
    X = np.column_stack([np.ones(20_000), rng.normal(size=(20_000, 2))])
    labels = (X @ theta.T + rng.gumbel(size=(20_000, 3))).argmax(1)
    assert np.abs(logistic.softmax_by_newton(X, labels).coefficients - theta).max() < 0.1


def test_standard_errors_are_the_spread_of_repeated_estimates(rng):
    X = np.column_stack([np.ones(400), rng.normal(size=400)])
    beta = np.array([0.2, 0.7])
    draws = rng.random((400, 400)) < sigmoid(X @ beta)
    estimates = [logistic.by_newton(X, y.astype(float)).coefficients for y in draws]
    formula = np.sqrt(np.diag(logistic.covariance(X, beta)))
    np.testing.assert_allclose(np.std(estimates, axis=0), formula, rtol=0.15)


# (d) What must not change the answer?


@pytest.mark.erratum("E30")  # "logistic regression" with softmax is fixed only up to a shift
def test_a_common_shift_of_softmax_coefficients_changes_nothing(three_classes, rng):
    X, labels, theta = three_classes
    shifted = theta + rng.normal(size=3)
    assert not np.allclose(shifted, theta)
    np.testing.assert_allclose(
        logistic.softmax(X @ shifted.T), logistic.softmax(X @ theta.T), atol=1e-15
    )
    H = logistic.softmax_hessian(X, theta)
    eigenvalues = np.linalg.eigvalsh(H)
    assert (np.abs(eigenvalues[:3]) < 1e-14).all()  # as many zeros as features
    assert (eigenvalues[3:] > 1e-3).all()
    fit = logistic.softmax_by_newton(X, labels)
    np.testing.assert_allclose(fit.coefficients.sum(0), 0, atol=1e-10)


def test_softmax_with_two_classes_is_the_logit(binary):
    X, y = binary
    theta = logistic.softmax_by_newton(X, y.astype(int)).coefficients
    beta = logistic.by_newton(X, y).coefficients
    np.testing.assert_allclose(theta[1] - theta[0], beta, atol=1e-9)


def test_many_runs_at_once_are_the_runs_one_by_one(binary, three_classes, rng):
    X, y = binary
    for loss, points in [
        (LogisticLoss(X, y, lam=0.1), rng.normal(size=(2, 3, 4))),
        (SoftmaxLoss(*three_classes[:2], lam=0.1), rng.normal(size=(2, 3, 9))),
    ]:
        values, gradients = loss(points)
        assert values.shape == (2, 3)
        for index in np.ndindex(2, 3):
            value, gradient = loss(points[index])
            np.testing.assert_allclose(values[index], value, rtol=1e-12)
            np.testing.assert_allclose(gradients[index], gradient, rtol=1e-10, atol=1e-14)


def test_units_of_a_feature_change_only_its_coefficient(binary):
    X, y = binary
    units = np.array([1.0, 1e4, 1e-4, 3.0])
    beta = logistic.by_newton(X, y).coefficients
    again = logistic.by_newton(X * units, y).coefficients
    np.testing.assert_allclose(again * units, beta, rtol=1e-6)


def test_the_intercept_is_never_penalized(binary):
    X, y = binary
    beta = logistic.by_newton(X, y, lam=1e6).coefficients
    assert np.abs(beta[1:]).max() < 1e-5
    assert sigmoid(beta[0]) == pytest.approx(y.mean(), abs=1e-5)


def test_float32_data_is_fitted_in_float64(binary):
    X, y = binary
    single = X.astype(np.float32)
    fit = logistic.by_newton(single, y.astype(np.float32))
    assert fit.coefficients.dtype == np.float64
    np.testing.assert_allclose(
        fit.coefficients, logistic.by_newton(single.astype(float), y).coefficients, rtol=1e-6
    )


@pytest.mark.converted
def test_extreme_scores_neither_overflow_nor_lose_digits():
    X, y = np.array([[1.0]]), np.array([1.0])
    for beta, value in [(-1000.0, 1000.0), (1000.0, 0.0), (40.0, np.exp(-40.0))]:
        assert LogisticLoss(X, y)(np.array([beta]))[0] == pytest.approx(value, rel=1e-12, abs=0)
    assert LogisticLoss(X, y)(np.array([40.0]))[1] == pytest.approx(-np.exp(-40.0), rel=1e-12)
    value, gradient = SoftmaxLoss(X, np.array([1]))(np.array([1000.0, -1000.0]))
    assert value == 2000.0
    np.testing.assert_array_equal(gradient, [1.0, -1.0])
    np.testing.assert_allclose(logistic.softmax(np.array([-1000, -1000])), 0.5)
    assert logistic.softmax(np.array([-np.inf, 0.0, 0.0])).tolist() == [0, 0.5, 0.5]


# Separable data: the maximum does not exist


@pytest.mark.erratum("E06")
def test_on_separable_data_the_slides_argmax_does_not_exist():
    X = np.column_stack([np.ones(6), [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]])
    y = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    descent = minimize(LogisticLoss(X, y), np.zeros(2), GradientDescent(0.5), max_steps=10_000)
    norms = np.linalg.norm(descent.points[[10, 100, 1_000, 10_000]], axis=1)
    assert (np.diff(norms) > 1).all()  # it grows with every decade of steps, like the log
    assert (np.diff(descent.values) < 0).all()
    for solver in (logistic.by_newton, logistic.by_gradient_descent):
        with pytest.raises(SeparableError, match="Set `lam` above 0") as caught:
            solver(X, y)
        margins = (2 * y - 1) * (X @ caught.value.direction)
        assert margins.min() > 0
    for lam in (1e-6, 1e-2):  # the cure
        assert logistic.by_newton(X, y, lam).is_converged


def separability(X, y):
    """By linear programming: the largest sum of margins on a box, none of them negative."""
    margins = (2 * y - 1)[:, None] * X
    found = linprog(-margins.sum(0), -margins, np.zeros(len(y)), bounds=(-1, 1))
    return -found.fun > 1e-8


NOISE = {"complete": 0.0, "quasi": 0.0, "overlap": 2.0}  # beside a score that the data carry


@pytest.mark.parametrize("kind", NOISE)
def test_separability_is_seen_exactly_where_linear_programming_sees_it(kind, rng):
    n_seen = 0
    for _ in range(60):
        n = int(rng.integers(15, 60))
        X = np.column_stack([np.ones(n), rng.integers(-2, 3, size=(n, 2)).astype(float)])
        score = X @ [0.0, 2.0, -1.0] + NOISE[kind] * rng.logistic(size=n)
        y = (score > 0).astype(float)
        if kind == "quasi":  # on the border both classes occur
            y[score == 0] = rng.integers(0, 2, size=(score == 0).sum())
        if y.min() == y.max() or np.linalg.matrix_rank(X) < 3:
            continue
        direction = logistic.separating_direction(X, y)
        assert (direction is not None) == separability(X, y)
        n_seen += (direction is None) == (kind == "overlap")
        if direction is not None:
            margins = (2 * y - 1) * (X @ direction)
            assert margins.min() > -1e-7 * margins.max()
    assert n_seen > 30


def test_separable_classes_are_seen_by_softmax(rng):
    X = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
    labels = (X[:, 1] > 0) * 1 + (X[:, 1] > 0.7)
    for solver in (logistic.softmax_by_newton, logistic.softmax_by_gradient_descent):
        with pytest.raises(SeparableError, match="likelihood rises for ever"):
            solver(X, labels)
    assert logistic.softmax_by_newton(X, labels, lam=0.01).is_converged


# Bad input and printing


def with_code(rng, code, n_coded):
    """A logit of two features in which `code` stands for some values of the first."""
    X = np.column_stack([np.ones(120), rng.normal(size=(120, 2))])
    y = (rng.random(120) < sigmoid(X @ [0.2, 1.0, -1.0])) * 1.0
    X[rng.choice(120, n_coded, replace=False), 1] = code
    return X, y


@pytest.mark.parametrize("code", [999_999_999, -9e8, 1e12, 99_999])
@pytest.mark.parametrize("n_coded", [1, 3])
def test_a_code_for_missing_values_makes_no_separation(code, n_coded, rng):
    for _ in range(20):
        X, y = with_code(rng, code, n_coded)
        fit = logistic.by_newton(X, y)
        assert fit.is_converged
        p = sigmoid(X @ fit.coefficients)
        scale = np.abs(X).max(0)
        np.testing.assert_allclose(X.T @ (p - y) / len(y) / scale, 0, atol=1e-8)
        multinomial = logistic.softmax_by_newton(X, y.astype(int)).coefficients
        np.testing.assert_allclose(
            X @ (multinomial[1] - multinomial[0]), X @ fit.coefficients, rtol=1e-4, atol=1e-4
        )


def test_separable_data_with_a_code_are_seen(rng):
    X, _ = with_code(rng, 999_999_999, 2)
    with pytest.raises(SeparableError):
        logistic.by_newton(X, (X[:, 2] > 0) * 1.0)


def test_units_of_columns_decide_nothing(binary):
    X, y = binary
    units = 10.0 ** np.linspace(-8, 8, X.shape[1])
    fit, same = logistic.by_newton(X, y), logistic.by_newton(X * units, y)
    np.testing.assert_allclose(same.coefficients * units, fit.coefficients, rtol=1e-9)
    sds, same_sds = (
        np.sqrt(np.diag(logistic.covariance(A, f.coefficients)))
        for A, f in ((X, fit), (X * units, same))
    )
    np.testing.assert_allclose(same_sds * units, sds, rtol=1e-9)


def test_a_column_of_zeros_is_no_intercept(binary, three_classes):
    X, y = binary
    padded = logistic.by_newton(np.column_stack([X, np.zeros(len(y))]), y, lam=0.1)
    expected = logistic.by_newton(X, y, lam=0.1).coefficients
    np.testing.assert_allclose(padded.coefficients, [*expected, 0.0], rtol=1e-12)
    X, labels, _ = three_classes
    padded = logistic.softmax_by_newton(np.column_stack([X, np.zeros(len(X))]), labels, lam=0.1)
    assert padded.is_converged
    np.testing.assert_array_equal(padded.coefficients[:, -1], 0)
    with pytest.raises(ValueError, match="Keep one, the intercept"):
        logistic.by_newton(np.column_stack([X, X[:, 0]]), (labels > 0) * 1.0, lam=0.1)


@pytest.mark.bad_input
def test_a_penalty_for_each_coefficient_is_refused_with_the_cure(binary):
    with pytest.raises(ValueError, match=r"One penalty a coefficient\? `LogisticLoss"):
        logistic.by_newton(*binary, lam=np.ones(binary[0].shape[1]))


def test_weights_count_observations_and_classes(binary, three_classes, rng):
    X, y = binary
    weights = rng.integers(0, 4, size=len(y))
    rows = np.repeat(np.arange(len(y)), weights)
    ours, theirs_ = logistic.by_newton(X, y, weights=weights), logistic.by_newton(X[rows], y[rows])
    np.testing.assert_allclose(ours.coefficients, theirs_.coefficients, rtol=1e-9)
    balanced = (len(y) / (2 * np.bincount(y.astype(int))))[y.astype(int)]
    oracle = theirs(X, y, C=np.inf, class_weight="balanced")[0]
    np.testing.assert_allclose(
        logistic.by_newton(X, y, weights=balanced).coefficients, oracle, atol=1e-8
    )
    X, labels, _ = three_classes
    weights = rng.integers(1, 4, size=len(labels))
    rows = np.repeat(np.arange(len(labels)), weights)
    np.testing.assert_allclose(
        logistic.softmax_by_newton(X, labels, weights=weights).coefficients,
        logistic.softmax_by_newton(X[rows], labels[rows]).coefficients,
        rtol=1e-8,
    )


def test_a_class_whose_weights_are_zero_is_not_there(binary):
    X, y = binary
    with pytest.raises(ValueError, match="got only 1"):
        logistic.by_newton(X, y, weights=y)


@pytest.mark.converted
def test_tables_and_integers_are_converted_once(binary, rng):
    X, y = binary
    table = pd.DataFrame(X, index=rng.permutation(len(y)))
    fit = logistic.by_newton(X, y)
    for outcome in (y.astype(int), y == 1, pd.Series(y), y.tolist()):
        same = logistic.by_newton(table, outcome)
        np.testing.assert_allclose(same.coefficients, fit.coefficients, rtol=1e-12)
    np.testing.assert_allclose(
        logistic.hessian(table, fit.coefficients.tolist()),
        logistic.hessian(X, fit.coefficients),
        rtol=1e-12,
    )


@pytest.mark.bad_input
def test_bad_outcomes_raise_with_the_cure(binary):
    X, y = binary
    with pytest.raises(ValueError, match=r"Use `\(y \+ 1\) / 2`"):
        logistic.by_newton(X, 2 * y - 1)
    with pytest.raises(ValueError, match=r"Use `y.ravel\(\)`"):
        logistic.by_newton(X, y[:, None])
    with pytest.raises(ValueError, match="dtype=float"):
        logistic.by_newton(X, np.where(y > 0, "yes", "no"))
    with pytest.raises(ValueError, match="both 0 and 1"):
        logistic.by_newton(X, np.ones_like(y))
    with pytest.raises(ValueError, match="`lam` must be a number, 0 or more"):
        logistic.by_newton(X, y, lam=-1.0)
    with pytest.raises(ValueError, match="Drop redundant columns"):
        logistic.by_newton(np.column_stack([X, X[:, 1]]), y)
    assert logistic.by_newton(np.column_stack([X, X[:, 1]]), y, lam=0.1).is_converged


@pytest.mark.bad_input
def test_bad_labels_raise_with_the_cure(three_classes):
    X, labels, _ = three_classes
    with pytest.raises(ValueError, match="return_inverse=True"):
        logistic.softmax_by_newton(X, labels.astype(float))
    with pytest.raises(ValueError, match="at least once"):
        logistic.softmax_by_newton(X, 2 * labels)
    with pytest.raises(ValueError, match="count from 0"):
        logistic.softmax_by_newton(X, labels - 1)
    with pytest.raises(ValueError, match=r"labels.argmax\(axis=1\)"):
        logistic.softmax_by_newton(X, np.eye(3, dtype=int)[labels])
    with pytest.raises(ValueError, match="must hold m = 3 classes"):
        SoftmaxLoss(X, labels)(np.zeros(6))


def test_a_fit_says_whether_it_converged(binary):
    X, y = binary
    assert "Newton: converged, mean loss" in repr(logistic.by_newton(X, y))
    stopped = logistic.by_gradient_descent(X, y, max_steps=3)
    assert not stopped.is_converged
    assert "gradient descent: stopped at the step limit" in repr(stopped)


def test_a_planted_error_in_the_gradient_is_caught(binary, rng):  # (e)
    X, y = binary

    def wrong(beta):
        value, gradient = LogisticLoss(X, y)(beta)
        return value, 1.001 * gradient

    with pytest.raises(AssertionError, match="the gradient says"):
        check_gradient(wrong, rng.normal(size=4), rng)
