"""The equations of the chapter on the logit and softmax, and the answers to its exercises."""

import itertools

import mpmath
import numpy as np
import pytest
import scipy
import sympy
import torch
from sklearn.metrics import log_loss

from dlcourse.chapters.logistic_regression import race
from dlcourse.gradcheck import numerical_gradient
from dlcourse.linear import logistic
from dlcourse.linear.newton import Newton, SeparableError
from dlcourse.losses import LogisticLoss, SoftmaxLoss, sigmoid
from dlcourse.optim import GradientDescent, minimize


@pytest.fixture
def binary(rng):
    X = np.column_stack([np.ones(60), rng.normal(size=(60, 2))])
    return X, (rng.random(60) < sigmoid(X @ [0.2, 1.0, -0.5])).astype(float)


@pytest.fixture
def classes(rng):
    X = np.column_stack([np.ones(80), rng.normal(size=(80, 2))])
    theta = rng.normal(size=(3, 3))
    return X, (X @ theta.T + rng.gumbel(size=(80, 3))).argmax(1), theta


def second_differences(f, x, step=1e-4):
    """Hessian from values of f alone."""
    p = len(x)
    moves = step * np.eye(p)
    H = np.empty((p, p))
    for i, j in itertools.product(range(p), repeat=2):
        corners = [(a, b, a * b) for a in (1, -1) for b in (1, -1)]
        values = [sign * f(x + a * moves[i] + b * moves[j]) for a, b, sign in corners]
        H[i, j] = sum(values) / (4 * step**2)
    return H


# The model


@pytest.mark.proves(
    "eq-logistic-odds", "eq-logistic-model", "eq-logistic-probability", by="symbolic"
)
def test_odds_log_odds_and_the_probability_are_one_statement():
    p, eta = sympy.Symbol("p", positive=True), sympy.Symbol("eta", real=True)
    odds = p / (1 - p)
    assert sympy.simplify(odds / (1 + odds) - p) == 0
    (solved,) = sympy.solve(sympy.Eq(odds, sympy.exp(eta)), p)
    for form in (sympy.exp(eta) / (1 + sympy.exp(eta)), 1 / (1 + sympy.exp(-eta))):
        assert sympy.simplify(solved - form) == 0
    at = np.array([-3.0, 0.0, 2.0])
    np.testing.assert_allclose(sigmoid(at), sympy.lambdify(eta, solved)(at), rtol=1e-14)


@pytest.mark.proves("eq-logistic-random-utility", by="independent")
@pytest.mark.parametrize("score", [-2.0, 0.0, 0.7])
def test_gumbel_shocks_make_a_logit(score):
    gumbel = scipy.stats.gumbel_r
    np.testing.assert_allclose(gumbel.cdf(score), np.exp(-np.exp(-score)), rtol=1e-14)
    buys, _ = scipy.integrate.quad(lambda e: gumbel.pdf(e) * gumbel.cdf(score + e), -10, 40)
    assert buys == pytest.approx(sigmoid(score), rel=1e-8)


@pytest.mark.proves("eq-logistic-odds-ratio", "eq-logistic-marginal-effect", by="symbolic")
def test_a_unit_of_a_feature_multiplies_odds_and_moves_the_probability():
    x, z, b, c = sympy.symbols("x z b c", real=True)
    p = 1 / (1 + sympy.exp(-(b * x + c * z)))
    odds = p / (1 - p)
    assert sympy.simplify(odds.subs(x, x + 1) / odds - sympy.exp(b)) == 0
    assert sympy.simplify(sympy.diff(p, x) - p * (1 - p) * b) == 0
    p = np.linspace(0, 1, 101)
    assert (p * (1 - p)).max() == 0.25


def test_an_odds_ratio_of_three_is_not_three_times_the_probability():
    def after(p, ratio=3.0):
        odds = ratio * p / (1 - p)
        return odds / (1 + odds)

    assert after(0.5) == pytest.approx(0.75)
    assert after(0.01) == pytest.approx(0.03, rel=0.03)


# The loss


@pytest.mark.proves("eq-logistic-likelihood", "eq-logistic-loss", by="independent")
def test_the_loss_is_minus_the_mean_log_likelihood(binary, rng):
    X, y = binary
    beta = rng.normal(size=3)
    p = sigmoid(X @ beta)
    product = np.prod(p**y * (1 - p) ** (1 - y))
    assert product == pytest.approx(scipy.stats.bernoulli.pmf(y, p).prod(), rel=1e-12)
    value, _ = LogisticLoss(X, y)(beta)
    assert value == pytest.approx(-np.log(product) / len(y), rel=1e-12)
    assert value == pytest.approx(log_loss(y, p), rel=1e-12)


@pytest.mark.proves("eq-logistic-margin-loss", by="symbolic")
@pytest.mark.parametrize("y", [0, 1])
def test_both_outcomes_are_one_function_of_the_margin(y):
    eta = sympy.Symbol("eta", real=True)
    p = 1 / (1 + sympy.exp(-eta))
    loss = -(y * sympy.log(p) + (1 - y) * sympy.log(1 - p))
    by_margin = sympy.log(1 + sympy.exp(-(2 * y - 1) * eta))
    assert sympy.simplify(sympy.exp(loss) - sympy.exp(by_margin)) == 0


@pytest.mark.proves("eq-logistic-softplus", by="independent")
def test_the_stable_form_keeps_its_digits_where_the_naive_one_has_none():
    with mpmath.workdps(500):  # enough to see 1 + e^(-800)
        for u in (-800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0):
            exact = float(mpmath.log(1 + mpmath.exp(u)))
            stable = max(u, 0.0) + np.log1p(np.exp(-abs(u)))
            assert stable == pytest.approx(exact, rel=1e-14)
            ours, _ = LogisticLoss(np.array([[1.0]]), np.zeros(1))(np.array([u]))
            assert ours == pytest.approx(exact, rel=1e-14)


# Curvature


@pytest.mark.proves("eq-logistic-hessian", "eq-logistic-curvature", by="derivative")
def test_the_hessian_is_the_second_difference_of_the_loss(binary, rng):
    X, y = binary
    beta, v = rng.normal(size=(2, 3))
    value = lambda b: LogisticLoss(X, y)(b)[0]  # noqa: E731
    H = logistic.hessian(X, beta)
    np.testing.assert_allclose(H, second_differences(value, beta), atol=1e-7)
    p = sigmoid(X @ beta)
    np.testing.assert_allclose(v @ H @ v, (p * (1 - p) * (X @ v) ** 2).mean(), rtol=1e-12)


@pytest.mark.proves("thm-logistic-convex", by="instances")
def test_the_log_loss_lies_below_its_chords(binary, rng):
    loss = LogisticLoss(*binary)
    one, other = 3 * rng.normal(size=(2, 200, 3))
    chord = (loss(one)[0] + loss(other)[0]) / 2
    assert (loss((one + other) / 2)[0] < chord).all()


@pytest.mark.proves("thm-logistic-convex", "eq-logistic-smoothness", by="instances")
def test_gradients_change_by_at_most_l(binary, rng):
    X, y = binary
    one, other = 3 * rng.normal(size=(2, 200, 3))
    change = LogisticLoss(X, y)(one)[1] - LogisticLoss(X, y)(other)[1]
    bound = logistic.smoothness(X) * np.linalg.norm(one - other, axis=1)
    assert (np.linalg.norm(change, axis=1) <= bound).all()


@pytest.mark.proves("eq-logistic-smoothness", by="worst case")
def test_the_largest_curvature_is_attained_at_zero(binary):
    X, _ = binary
    top = np.linalg.eigvalsh(logistic.hessian(X, np.zeros(3)))[-1]
    assert top == pytest.approx(logistic.smoothness(X), rel=1e-12)
    flat = np.linalg.eigvalsh(logistic.hessian(X, np.array([0.0, 300.0, 0.0])))[0]
    assert flat < 1e-6 * top  # far out the curvature vanishes: not strongly convex


# Solvers


@pytest.mark.proves("eq-logistic-newton", by="independent")
def test_newton_steps_are_those_of_automatic_differentiation(binary):
    X, y = binary
    ours = minimize(LogisticLoss(X, y), np.zeros(3), newton(X), max_steps=4).points
    X_torch, y_torch = torch.tensor(X), torch.tensor(y)

    def J(beta):
        return torch.nn.functional.binary_cross_entropy_with_logits(X_torch @ beta, y_torch)

    beta = torch.zeros(3, dtype=torch.float64)
    for point in ours[1:]:
        H = torch.autograd.functional.hessian(J, beta)
        beta = beta - torch.linalg.solve(H, torch.autograd.functional.jacobian(J, beta))
        np.testing.assert_allclose(point, beta.numpy(), rtol=1e-9)


@pytest.mark.proves("eq-logistic-hessian-lipschitz", by="symbolic")
def test_the_weights_slope_is_largest_at_three_plus_minus_root_three_sixths():
    s = sympy.Symbol("s")
    slope = s * (1 - s) * (1 - 2 * s)
    places = sympy.solve(sympy.diff(slope, s), s)
    assert set(places) == {(3 + sympy.sqrt(3)) / 6, (3 - sympy.sqrt(3)) / 6}
    assert {sympy.simplify(abs(slope.subs(s, place))) for place in places} == {
        sympy.sqrt(3) / 18  # which is 1 / (6 sqrt 3)
    }


@pytest.mark.proves("eq-logistic-hessian-lipschitz", by="instances")
def test_the_hessian_changes_no_faster_than_b(binary, rng):
    X, _ = binary
    B = race.hessian_lipschitz(X)
    for one, other in rng.normal(size=(100, 2, 3)):
        change = logistic.hessian(X, one) - logistic.hessian(X, other)
        assert np.linalg.norm(change, 2) <= B * np.linalg.norm(one - other)


@pytest.mark.proves("eq-logistic-hessian-lipschitz", by="worst case")
def test_one_observation_attains_b():
    X, at = np.array([[2.0]]), np.log((3 - 3**0.5) / (3 + 3**0.5)) / 2
    change = logistic.hessian(X, np.array([at + 1e-5])) - logistic.hessian(X, np.array([at - 1e-5]))
    assert change[0, 0] / 2e-5 == pytest.approx(race.hessian_lipschitz(X), rel=1e-6)


def newton(X):
    return Newton(lambda beta: logistic.hessian(X, beta))


@pytest.mark.proves("thm-logistic-newton", "eq-logistic-newton-rate", by="instances")
def test_inside_the_radius_a_newton_step_squares_the_error(binary, rng):
    X, y = binary
    best = logistic.by_newton(X, y).coefficients
    smallest = np.linalg.eigvalsh(logistic.hessian(X, best))[0]
    B = race.hessian_lipschitz(X)
    for _ in range(50):
        start = rng.normal(size=3)
        start = best + start / np.linalg.norm(start) * smallest / (2 * B) * rng.random()
        run = minimize(LogisticLoss(X, y), start, newton(X), max_steps=1)
        before, after = np.linalg.norm(run.points - best, axis=1)
        assert after <= B / smallest * before**2 + 1e-14
        assert after <= before / 2 + 1e-14


@pytest.mark.proves("eq-logistic-newton-error", by="independent")
def test_the_error_after_a_step_is_the_integral_of_the_hessians_change(binary):
    X, y = binary
    best = logistic.by_newton(X, y).coefficients
    beta = best + np.array([0.3, -0.2, 0.4])
    error = beta - best
    after = minimize(LogisticLoss(X, y), beta, newton(X), max_steps=1).x
    nodes, weights = np.polynomial.legendre.leggauss(30)
    H = logistic.hessian(X, beta)
    integral = sum(
        w / 2 * (H - logistic.hessian(X, best + (1 + z) / 2 * error)) @ error
        for z, w in zip(nodes, weights, strict=True)
    )
    np.testing.assert_allclose(after - best, np.linalg.solve(H, integral), rtol=1e-9)


@pytest.mark.proves("eq-logistic-gd-rate", by="truth")
def test_late_steps_of_descent_shrink_the_error_as_the_curvature_says(binary):
    X, y = binary
    best = logistic.by_newton(X, y).coefficients
    t = 1 / logistic.smoothness(X)
    run = minimize(LogisticLoss(X, y), np.zeros(3), GradientDescent(t), max_steps=50)
    errors = np.linalg.norm(run.points - best, axis=1)
    predicted = 1 - t * np.linalg.eigvalsh(logistic.hessian(X, best))[0]
    assert errors[50] > 1e-11
    assert errors[50] / errors[49] == pytest.approx(predicted, rel=1e-4)


# Inference


@pytest.mark.proves(
    "thm-logistic-information",
    "eq-logistic-information",
    "eq-logistic-information-proof",
    by="independent",
)
def test_over_all_outcomes_the_gradients_variance_is_the_hessian_over_n(rng):
    n, beta = 8, np.array([0.4, -0.8])
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    outcomes = np.array(list(itertools.product([0.0, 1.0], repeat=n)))
    losses = [LogisticLoss(X, y)(beta) for y in outcomes]
    probability = np.exp(-n * np.array([value for value, _ in losses]))
    gradients = np.array([gradient for _, gradient in losses])
    assert probability.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(probability @ gradients, 0, atol=1e-15)
    variance = (probability[:, None] * gradients).T @ gradients
    H = logistic.hessian(X, beta)
    np.testing.assert_allclose(variance, H / n, rtol=1e-12)
    terms = n**2 * gradients[:, :, None] * gradients[:, None, :] - n * H
    np.testing.assert_allclose(np.tensordot(probability, terms, 1), 0, atol=1e-12)


# Existence

COMPLETE = np.array([[1.0, -2.0], [1.0, -1.0], [1.0, 1.5], [1.0, 3.0]]), np.repeat([0.0, 1.0], 2)
QUASI = np.array([[1.0, -1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 2.0]]), np.repeat([0.0, 1.0], 2)


def smallest_worst_margin(X, y):
    """delta of the theorem for two coefficients, on a fine grid of directions."""
    angles = np.linspace(0, 2 * np.pi, 20_001)
    directions = np.stack([np.cos(angles), np.sin(angles)])
    return (-(2 * y - 1)[:, None] * (X @ directions)).max(0).min()


@pytest.mark.proves(
    "def-logistic-separation", "eq-logistic-separation", "thm-logistic-existence", by="instances"
)
@pytest.mark.parametrize(("data", "lowest"), [(COMPLETE, 0.0), (QUASI, np.log(2) / 2)])
def test_along_a_separating_direction_the_loss_falls_for_ever(data, lowest, rng):
    X, y = data
    direction = np.array([0.0, 1.0])
    margins = (2 * y - 1) * (X @ direction)
    assert margins.min() >= 0
    assert margins.max() > 0
    loss = LogisticLoss(X, y)
    for beta in rng.normal(size=(20, 2)):
        values = loss(beta + np.arange(12)[:, None] * direction)[0]
        assert (np.diff(values) < 0).all()
    assert loss(1_000 * direction)[0] == pytest.approx(lowest, abs=1e-12)
    with pytest.raises(SeparableError):
        logistic.by_newton(X, y)


@pytest.mark.proves("thm-logistic-existence", "eq-logistic-estimate-bound", by="instances")
def test_without_a_separating_direction_the_loss_grows_in_all_directions(rng):
    n_seen = 0
    for _ in range(40):
        n = int(rng.integers(6, 25))
        X = np.column_stack([np.ones(n), rng.normal(size=n)])
        y = (rng.random(n) < sigmoid(2 * X[:, 1])).astype(float)
        delta = smallest_worst_margin(X, y)
        if y.min() == y.max():
            assert delta <= 0
        elif delta < 1e-3:
            assert logistic.separating_direction(X, y) is not None
        else:
            points = 10 * rng.normal(size=(100, 2))
            values = LogisticLoss(X, y)(points)[0]
            assert (values >= 0.999 * delta / n * np.linalg.norm(points, axis=1)).all()
            best = logistic.by_newton(X, y).coefficients
            assert np.linalg.norm(best) <= n * np.log(2) / (0.999 * delta)
            n_seen += 1
    assert n_seen > 20


def test_on_separable_classes_standard_errors_outgrow_the_estimates():
    X, y = COMPLETE
    path = minimize(LogisticLoss(X, y), np.zeros(2), newton(X), max_steps=20).points
    errors = [np.sqrt(logistic.covariance(X, beta)[1, 1]) for beta in path[1:]]
    ratios = path[1:, 1] / errors
    assert path[-1, 1] > 10
    assert (np.diff(ratios[3:]) < 0).all()  # the test of Wald sees less and less
    assert ratios[-1] < 0.01


@pytest.mark.proves("eq-logistic-ridge", by="independent")
@pytest.mark.parametrize("lam", [1e-4, 0.1])
def test_with_a_ridge_every_start_leads_to_one_minimizer_on_separable_data(lam, rng):
    X, y = rng.normal(size=(30, 2)), np.ones(30)
    y[X @ [1.0, -2.0] < 0] = 0.0
    assert logistic.separating_direction(X, y) is not None

    def penalized(beta):
        return np.logaddexp(0, -(2 * y - 1) * (X @ beta)).mean() + lam / 2 * beta @ beta

    ours = logistic.by_newton(X, y, lam).coefficients
    for start in 5 * rng.normal(size=(4, 2)):
        found = scipy.optimize.minimize(penalized, start, options={"gtol": 1e-8})
        np.testing.assert_allclose(found.x, ours, rtol=2e-4)


@pytest.mark.proves("eq-logistic-firth", by="independent")
@pytest.mark.parametrize("cells", [(7, 3, 2, 8), (6, 0, 2, 5)])
def test_firths_penalty_adds_one_half_to_each_cell_of_a_table(cells):
    a, b, c, d = cells
    dummy, y = np.repeat([1, 1, 0, 0], cells), np.repeat([1, 0, 1, 0], cells).astype(float)
    X, n = np.column_stack([np.ones(len(y)), dummy]), len(y)

    def penalized(beta):
        information = n * logistic.hessian(X, beta)
        return LogisticLoss(X, y)(beta)[0] - np.log(np.linalg.det(information)) / (2 * n)

    found = scipy.optimize.minimize(penalized, np.zeros(2), options={"gtol": 1e-9})
    half = np.log((a + 0.5) * (d + 0.5) / ((b + 0.5) * (c + 0.5)))
    assert found.x[1] == pytest.approx(half, abs=1e-4)


# Softmax


@pytest.mark.proves("eq-softmax-probability", "eq-softmax-loss", by="independent")
def test_softmax_and_its_loss_agree_with_scipy_and_torch(classes):
    X, labels, theta = classes
    ours = logistic.softmax(X @ theta.T)
    np.testing.assert_allclose(ours, scipy.special.softmax(X @ theta.T, axis=1), rtol=1e-13)
    theirs = torch.nn.functional.cross_entropy(torch.tensor(X @ theta.T), torch.tensor(labels))
    value, _ = SoftmaxLoss(X, labels)(theta.ravel())
    assert value == pytest.approx(float(theirs), rel=1e-13)
    assert value == pytest.approx(-np.log(ours[np.arange(80), labels]).mean(), rel=1e-13)


@pytest.mark.proves("eq-softmax-shift", "eq-softmax-base", by="symbolic")
def test_a_shift_cancels_and_contrasts_are_log_odds():
    a, b, c, shift = sympy.symbols("a b c shift", real=True)
    scores = (a, b, c)
    total = sum(map(sympy.exp, scores))
    p = [sympy.exp(s) / total for s in scores]
    shifted = sum(sympy.exp(s + shift) for s in scores)
    assert sympy.simplify(sympy.exp(b + shift) / shifted - p[1]) == 0
    assert sympy.simplify(sympy.exp(b - a) - p[1] / p[0]) == 0
    two = sympy.exp(b) / (sympy.exp(a) + sympy.exp(b))
    assert sympy.simplify(two - 1 / (1 + sympy.exp(-(b - a)))) == 0  # m = 2 is the logit


@pytest.mark.proves("eq-softmax-hessian", "eq-softmax-variance", by="derivative")
def test_the_softmax_hessian_is_the_second_difference_of_the_loss(classes, rng):
    X, labels, theta = classes
    value = lambda t: SoftmaxLoss(X, labels)(t)[0]  # noqa: E731
    H = logistic.softmax_hessian(X, theta)
    np.testing.assert_allclose(H, second_differences(value, theta.ravel()), atol=1e-6)
    v = rng.normal(size=(3, 3))
    p, slopes = logistic.softmax(X @ theta.T), X @ v.T
    variance = (p * slopes**2).sum(1) - (p * slopes).sum(1) ** 2
    assert v.ravel() @ H @ v.ravel() == pytest.approx(variance.mean(), rel=1e-10)


@pytest.mark.proves("thm-softmax-identification", by="instances")
@pytest.mark.parametrize(("m", "p"), [(2, 1), (3, 3), (5, 2)])
def test_as_many_eigenvalues_are_zero_as_there_are_columns(m, p, rng):
    X, theta = rng.normal(size=(50, p)), rng.normal(size=(m, p))
    values, vectors = np.linalg.eigh(logistic.softmax_hessian(X, theta))
    assert (np.abs(values[:p]) < 1e-14).all()
    assert (values[p:] > 1e-4).all()
    flat = vectors[:, :p].reshape(m, p, p)
    np.testing.assert_allclose(flat, np.broadcast_to(flat[:1], flat.shape), atol=1e-10)


@pytest.mark.proves("thm-softmax-identification", by="independent")
def test_the_base_class_changes_coefficients_and_not_contrasts(classes):
    X, labels, _ = classes
    ours = logistic.softmax_by_newton(X, labels).coefficients
    for base in range(3):
        others = [k for k in range(3) if k != base]

        def loss(free, others=others):
            theta = np.zeros((3, 3))
            theta[others] = free.reshape(2, 3)
            value, gradient = SoftmaxLoss(X, labels)(theta.ravel())
            return value, gradient.reshape(3, 3)[others].ravel()

        found = scipy.optimize.minimize(loss, np.zeros(6), jac=True, options={"gtol": 1e-9})
        contrasts = (ours - ours[base])[others].ravel()
        np.testing.assert_allclose(found.x, contrasts, rtol=1e-4, atol=1e-5)


# Exercises


@pytest.mark.proves("eq-logistic-two-by-two", by="independent")
def test_a_two_by_two_table_needs_no_iteration():
    a, b, c, d = cells = (30, 12, 9, 25)
    dummy, y = np.repeat([1, 1, 0, 0], cells), np.repeat([1, 0, 1, 0], cells).astype(float)
    X = np.column_stack([np.ones(len(y)), dummy])
    beta = logistic.by_newton(X, y).coefficients
    assert beta[1] == pytest.approx(np.log(a * d / (b * c)), rel=1e-10)
    error = np.sqrt(logistic.covariance(X, beta)[1, 1])
    assert error == pytest.approx(np.sqrt(1 / a + 1 / b + 1 / c + 1 / d), rel=1e-8)
    with pytest.raises(SeparableError):  # everybody with a coupon buys
        logistic.by_newton(X[y + 1 - dummy > 0], y[y + 1 - dummy > 0])
    assert np.sqrt(1 / 4 + 1 / 332 * 3) > 0.5  # a thousand observations, a cell of 4


@pytest.mark.proves("eq-logistic-interaction", by="symbolic")
def test_the_interaction_effect_is_not_the_interaction_coefficient():
    b1, b2, b3, b4, u, v = sympy.symbols("b1 b2 b3 b4 u v", real=True)
    p = 1 / (1 + sympy.exp(-(b1 + b2 * u + b3 * v + b4 * u * v)))
    effect = p * (1 - p) * (b4 + (1 - 2 * p) * (b2 + b4 * v) * (b3 + b4 * u))
    assert sympy.simplify(sympy.diff(p, u, v) - effect) == 0
    numbers = {b1: 2, b2: 1, b3: 1, b4: sympy.Rational(1, 10), u: 1, v: 1}
    assert effect.subs(numbers).evalf() < 0 < numbers[b4]  # opposite signs


@pytest.mark.proves("eq-logistic-case-control", by="symbolic")
def test_choosing_by_the_outcome_shifts_the_intercept_alone():
    eta, kept_ones, kept_zeros = sympy.symbols("eta tau1 tau0", positive=True)
    p = 1 / (1 + sympy.exp(-eta))
    kept = p * kept_ones + (1 - p) * kept_zeros
    posterior = p * kept_ones / kept
    shift = sympy.log(kept_ones / kept_zeros)
    odds = sympy.simplify(posterior / (1 - posterior))
    assert sympy.simplify(odds - sympy.exp(eta) * sympy.exp(shift)) == 0


@pytest.mark.proves("eq-logistic-attenuation", by="truth")
@pytest.mark.parametrize("omega", [0.5, 1.5])
def test_an_omitted_independent_variable_shrinks_coefficients_not_effects(omega):
    rng = np.random.default_rng(1)
    n, beta = 100_000, np.array([0.3, 1.0])
    X, z = np.column_stack([np.ones(n), rng.normal(size=n)]), rng.normal(size=n)
    score = X @ beta + omega * z
    y = (rng.random(n) < sigmoid(score)).astype(float)
    found = logistic.by_newton(X, y).coefficients
    predicted = beta[1] / np.sqrt(1 + 3 * omega**2 / np.pi**2)
    assert found[1] == pytest.approx(predicted, rel=0.08)
    assert abs(found[1] / beta[1] - 1) > 0.02
    weights = lambda s: (sigmoid(s) * (1 - sigmoid(s))).mean()  # noqa: E731
    true_effect, our_effect = beta[1] * weights(score), found[1] * weights(X @ found)
    assert our_effect == pytest.approx(true_effect, rel=0.04)


@pytest.mark.proves("eq-softmax-zero-sum", by="independent")
def test_a_penalty_on_all_classes_chooses_the_rows_that_sum_to_zero(classes, rng):
    X, labels, _ = classes
    loss = SoftmaxLoss(X, labels, lam=0.05)
    start = 3 * rng.normal(size=9)
    found = scipy.optimize.minimize(loss, start, jac=True, options={"gtol": 1e-10})
    np.testing.assert_allclose(found.x.reshape(3, 3).sum(0), 0, atol=1e-7)


def test_a_penalty_relative_to_a_base_depends_on_the_base(classes):
    X, labels, _ = classes

    def probabilities(base):
        pick = np.delete(np.eye(3), base, axis=1)  # theta = pick @ free: the base at zero

        def penalized(free):
            theta = pick @ free.reshape(2, 3)
            return SoftmaxLoss(X, labels)(theta.ravel())[0] + 0.05 * free @ free

        gradient = lambda free: numerical_gradient(lambda f: (penalized(f), None), free)  # noqa: E731
        free = scipy.optimize.minimize(penalized, np.zeros(6), jac=gradient).x
        return logistic.softmax(X @ (pick @ free.reshape(2, 3)).T)

    assert np.abs(probabilities(0) - probabilities(1)).max() > 0.01


@pytest.mark.proves("eq-logistic-program", by="independent")
def test_the_linear_program_decides_as_newton_does(rng):
    verdicts = []
    for _ in range(60):
        n = int(rng.integers(5, 25))
        X = np.column_stack([np.ones(n), rng.integers(-2, 3, size=(n, 2)).astype(float)])
        y = (X @ [0.0, 1.0, -1.0] + rng.logistic(size=n) > 0).astype(float)
        if y.min() == y.max() or np.linalg.matrix_rank(X) < 3:
            continue
        margins = (2 * y - 1)[:, None] * X
        found = scipy.optimize.linprog(-margins.sum(0), -margins, np.zeros(n), bounds=(-1, 1))
        verdicts.append(-found.fun > 1e-8)
        assert verdicts[-1] == (logistic.separating_direction(X, y) is not None)
    assert 5 < sum(verdicts) < len(verdicts) - 5
