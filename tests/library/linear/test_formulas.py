"""The displays of the docstrings, evaluated with the functions' own arguments."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from dlcourse.linear import logistic, selection, shrinkage
from dlcourse.linear.components import principal_components
from dlcourse.linear.coordinate_descent import (
    Problem,
    coordinate_cycle,
    duality_gap,
    minimizer,
    soft_threshold,
)
from dlcourse.linear.newton import Newton
from dlcourse.losses import LogisticLoss, SoftmaxLoss, SquaredError
from dlcourse.optim import minimize
from tools.formula import one_based


def column(x):
    return np.asarray(x)[:, None]


def threshold(u, t):
    return soft_threshold(np.array([u]), float(t)).item()


def largest_eigenvalue(A):
    return np.linalg.eigvalsh(A)[-1]


@pytest.fixture
def X(rng):
    return rng.normal(size=(12, 4)) * [1.0, 3.0, 0.5, 2.0] + [5.0, -1.0, 0.3, 2.0]


@pytest.fixture
def y(X, rng):
    return X @ [1.0, -0.5, 2.0, -0.2] + rng.normal(size=12) + 3.0


# ---- components


def test_scores_are_coordinates_and_lead_back(displayed, X):
    found = principal_components(X, 2)
    for x in X[:2]:
        scores = found.scores(x[None]).T
        names = {"t": scores, "V": found.directions, "D": np.diag(found.sd), "x": column(x)}
        names |= {r"\bar x": column(found.mean), r"\hat x": found.reconstruct(scores.T).T}
        assert displayed("dlcourse.linear.components.Components.scores").holds(names)
        assert displayed("dlcourse.linear.components.Components.reconstruct").holds(names)


def test_components_are_the_singular_value_decomposition(displayed, X):
    found, Z = principal_components(X), shrinkage.standardize(X).Z
    U, sigma, V = np.linalg.svd(Z, full_matrices=False)
    U *= np.sign((V * found.directions).sum(1))
    names = {"Z": Z, "U": U, r"\Sigma": np.diag(sigma), "V": found.directions, "n": len(X)}
    for k, variance in enumerate(found.scores(X).var(axis=0, ddof=1), start=1):
        names |= {r"\widehat{\operatorname{Var}}(Z v_k^\top)": variance, "k": k}
        names[r"\sigma"] = one_based(sigma)
        assert displayed("dlcourse.linear.components.principal_components").holds(names)


# ---- shrinkage


@pytest.fixture
def net(X, y, rng):
    """An elastic net, its loss J, and some coefficients, by the names of the docstrings."""
    Z, centered, lam, a = shrinkage.standardize(X).Z, y - y.mean(), 0.6, 0.7
    problem = Problem(Z.T @ Z / 12, Z.T @ centered / 12, float(centered @ centered / 12), a)

    def J(b):
        l1, l2 = problem.penalties(lam)
        fit, _ = SquaredError(Z, centered)(np.ravel(b))
        return float(fit + l1 * np.linalg.norm(b, 1) + l2 * np.linalg.norm(b) ** 2 / 2)

    b = rng.normal(size=4)
    names = {"J": J, "b": column(b), r"\lambda": lam, "a": a, "n": 12, "Z": Z, "y": column(y)}
    names |= {r"\bar y": np.full((12, 1), y.mean()), "G": problem.gram}
    names |= {"c": column(problem.moments), r"\mathrm{variance}": problem.variance}
    return SimpleNamespace(problem=problem, centered=centered, lam=lam, a=a, J=J, b=b, names=names)


def test_the_penalized_loss_is_half_the_mean_square_and_the_penalties(displayed, net, rng):
    for b in rng.normal(size=(2, 4, 1)):
        names = net.names | {"b": b}
        assert displayed("dlcourse.linear.shrinkage").holds(names)
        assert displayed("dlcourse.linear.coordinate_descent").holds(names)


def test_slopes_are_the_moments_of_the_residuals(displayed, net):
    shown = displayed("dlcourse.linear.coordinate_descent.Problem.slopes").value(net.names)
    np.testing.assert_allclose(shown.ravel(), net.problem.slopes(net.b), rtol=1e-12)
    residual = net.centered - net.names["Z"] @ net.b
    np.testing.assert_allclose(shown.ravel(), net.names["Z"].T @ residual / 12, rtol=1e-12)


def test_the_soft_threshold_moves_toward_zero(displayed):
    for u in (-3.2, 0.4, 2.3):
        names = {"S": threshold, "u": u, "t": 0.7}
        assert displayed("dlcourse.linear.coordinate_descent.soft_threshold").holds(names)


def test_a_cycle_sets_one_coordinate_after_the_other(displayed, net):
    for j in range(4):
        b = net.b.copy()
        coordinate_cycle(net.problem, b, net.lam, np.array([j]))
        names = net.names | {"b": one_based(b), "j": j + 1, "k": range(1, 5), "S": threshold}
        names |= {"c": one_based(net.problem.moments), "G": one_based(net.problem.gram)}
        assert displayed("dlcourse.linear.coordinate_descent.coordinate_cycle").holds(names)


def test_the_gap_is_that_to_the_dual_at_the_residual(displayed, net):
    def conjugate(v):
        """The largest v b minus the penalty of b."""
        l1, l2 = net.problem.penalties(net.lam)
        found = minimize_scalar(lambda b: l1 * abs(b) + l2 / 2 * b**2 - v * b, tol=1e-12)
        return max(0.0, -found.fun)

    def below(theta):
        """What the gap of the coefficients with these residuals says that J is at least."""
        b = np.linalg.lstsq(Z, net.centered - 12 * theta.ravel(), rcond=None)[0]
        return net.J(b) - float(duality_gap(net.problem, b, net.lam))

    Z = net.names["Z"]
    theta = (net.centered - Z @ net.b) / 12
    gap = float(duality_gap(net.problem, net.b, net.lam))
    names = net.names | {r"\text{gap}": gap, "D": below}
    names |= {r"\theta": column(theta), "y": column(net.centered), "g^*": conjugate}
    names |= {"z": one_based(Z.T[:, :, None]), "j": range(1, 5)}
    for v in (0.05, -1.3):
        names["v"] = v
        assert displayed("dlcourse.linear.coordinate_descent.duality_gap").holds(names)


def test_with_its_signs_the_minimizer_is_one_linear_system_away(displayed, net, rng):
    # In the second one a coefficient has another sign than its moment.
    alike = Problem(np.array([[1.0, 0.9], [0.9, 1.0]]), np.array([1.0, 0.5]), 1.0, net.a)
    for problem, lam in ((net.problem, net.lam), (alike, 0.05)):
        p = len(problem.moments)
        b_new, is_reached = minimizer(problem, np.zeros(p), lam, tolerance=0.0)
        A = np.flatnonzero(b_new)
        assert is_reached
        assert 1 < len(A) < 4
        b = np.where(b_new, b_new * rng.uniform(0.3, 3.0, size=p), 0.0)
        names = {"G_{AA}": problem.gram[np.ix_(A, A)], "I": np.eye(len(A)), "a": net.a}
        names |= {r"b_A^{\text{new}}": column(b_new[A]), "b_A": column(b[A]), r"\lambda": lam}
        names |= {"c_A": column(problem.moments[A]), "(G b)_A": column(problem.gram[A] @ b)}
        assert displayed("dlcourse.linear.coordinate_descent._keeping_signs").holds(names)


def test_columns_are_standardized_and_coefficients_led_back(displayed, X, y, net):
    data = shrinkage.standardize(X)
    names = {"z": data.Z, "x": X, r"\bar x": X.mean(0), "s": X.std(0)}
    for i, j in ((4, 0), (2, 3)):
        names |= {"i": i, "j": j}
        assert displayed("dlcourse.linear.shrinkage.standardize").holds(names)
    intercept, beta = data.in_units_of_X(net.b, y.mean())
    names |= {r"\beta": column(beta), r"\beta_0": intercept, "b": net.b, r"\bar y": y.mean()}
    for names["j"] in (1, 3):
        names[r"\bar x"] = column(X.mean(0))
        assert displayed("dlcourse.linear.shrinkage.Standardized.in_units_of_X").holds(names)


def test_ridge_has_a_closed_form_and_the_lasso_a_largest_penalty(displayed, X, y, net):
    names = net.names | {
        "I": np.eye(4),
        r"\hat b": column(shrinkage.ridge(X, y, net.lam).standardized),
    }
    assert displayed("dlcourse.linear.shrinkage.ridge").holds(names)
    largest = shrinkage.largest_lam(X, y, net.a)
    names |= {r"\lambda_{\max}": largest, "z": one_based(names["Z"].T[:, :, None])}
    assert displayed("dlcourse.linear.shrinkage.largest_lam").holds(names | {"j": range(1, 5)})


# ---- Newton and gradient descent


def test_the_first_step_of_softmax_descent_has_the_length_of_the_bound(displayed, X, rng):
    labels, names = np.arange(12) % 3, {r"\lambda_{\max}": largest_eigenvalue, "X": X, "n": 12}
    for lam in (0.2, 3.0):
        step = logistic.softmax_by_gradient_descent(X, labels, lam, max_steps=1).coefficients
        _, gradient = SoftmaxLoss(X, labels)(np.zeros(12))
        names |= {"L": np.linalg.norm(gradient) / np.linalg.norm(step), r"\lambda": lam}
        assert displayed("dlcourse.linear.logistic.softmax_by_gradient_descent").holds(names)


def test_newton_steps_over_the_hessian(displayed, X, rng):
    loss = LogisticLoss(X, rng.integers(0, 2, size=12).astype(float), lam=0.7)

    def hessian(x):
        return logistic.hessian(X, np.ravel(x)) + 0.7 * np.eye(4)

    found = minimize(loss, rng.normal(size=4) / 9, Newton(hessian), max_steps=3)
    names = {"x": list(found.points[:, :, None]), "H": hessian}
    names[r"\nabla f"] = lambda x: column(loss(x.ravel())[1])
    for k in (0, 1):
        assert displayed("dlcourse.linear.newton.Newton").holds(names | {"k": k})


# ---- selection


def test_criteria_add_a_price_of_each_coefficient_to_the_residuals(displayed, X, y):
    found, variance = selection.forward_stepwise(X, y), 1.7
    for k, cp, bic in zip(range(1, 4), found.cp(variance)[1:], found.bic()[1:], strict=False):
        names = {"k": k, "n": 12, r"\mathrm{RSS}": selection.rss(X, y, found.features[k])}
        names |= {r"\hat\sigma": variance**0.5, "C_p": cp, r"\mathrm{BIC}": bic}
        assert displayed("dlcourse.linear.selection.Selection.cp").holds(names)
        assert displayed("dlcourse.linear.selection.Selection.bic").holds(names)


def test_stepwise_adds_the_feature_whose_new_part_explains_most(displayed, X, y):
    def left(target, M):
        design = np.column_stack([np.ones(12), X[:, M]])
        return column(target - design @ np.linalg.lstsq(design, target, rcond=None)[0])

    first, second = selection.forward_stepwise(X, y, 2).features[2]
    falls = {}
    for j in {0, 1, 2, 3} - {first}:
        before, after = selection.rss(X, y, [first]), selection.rss(X, y, [first, j])
        names = {r"\mathrm{RSS}(M)": before, r"\mathrm{RSS}(M \cup \{j\})": after, "j": j}
        names |= {"r": left(y, [first]), r"\tilde x": [left(x, [first]) for x in X.T]}
        assert displayed("dlcourse.linear.selection.forward_stepwise").holds(names)
        falls[j] = before - after
    assert max(falls, key=falls.get) == second
