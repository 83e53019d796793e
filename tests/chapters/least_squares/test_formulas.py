"""The chapter's displays, evaluated as the page has them."""

import itertools

import numpy as np
import pytest
import torch
from scipy import integrate, linalg, optimize, stats
from sklearn.linear_model import LinearRegression

from dlcourse import datasets
from dlcourse.linear import three_errors
from dlcourse.linear.least_squares import covariance
from dlcourse.losses import SquaredError, SumOfSquares
from dlcourse.optim import GradientDescent, minimize
from tools.formula import one_based

Polynomial = np.polynomial.Polynomial


def fitted(X, y):
    """The coefficients of scikit-learn, as a column."""
    return LinearRegression(fit_intercept=False).fit(X, y).coef_.reshape(-1, 1)


def losses(X, y):
    """S and J of a column, by torch."""
    X, y = torch.from_numpy(X), torch.from_numpy(y)

    def mean(beta):
        return torch.nn.functional.mse_loss(X @ torch.as_tensor(np.array(beta)), y).item()

    return {"S": lambda beta: len(y) * mean(beta), "J": lambda beta: mean(beta) / 2}


@pytest.fixture
def regressions(rng):
    """What the names of the chapter stand for in regressions of different size."""
    found = []
    for n, p in [(7, 3), (9, 4)]:
        X, y = rng.normal(size=(n, p)), rng.normal(size=(n, 1))
        names = {"X": one_based(X), "y": one_based(y), "n": n, "p": p, r"\hat\beta": fitted(X, y)}
        names |= {r"\beta": one_based(rng.normal(size=(p, 1))), r"\delta": rng.normal(size=(p, 1))}
        found.append(names | losses(X, y))
    return found


# The minimizer


@pytest.mark.proves("eq-linear-model", "eq-ad-model", by="independent")
def test_outcomes_are_what_the_features_give_and_an_error(displayed, rng):
    X, beta, u = rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=5)
    y = [
        sum(x * b for x, b in zip(row, beta, strict=True)) + e for row, e in zip(X, u, strict=True)
    ]
    names = {"y": np.c_[y], "X": X, r"\beta": np.c_[beta], "u": np.c_[u]}
    assert displayed("eq-linear-model").holds(names)
    T = np.array([1, 0, 0, 1, 1])
    sales = np.where(T == 1, 2.7 + u, 2.2 + u)
    names = {"y": sales, r"\beta": [2.2, 0.5], "T": T, "u": u}
    names = {name: one_based(value) for name, value in names.items()}
    for i in range(1, 6):
        assert displayed("eq-ad-model").holds(names | {"i": i})


@pytest.mark.proves("eq-sum-of-squares", "eq-half-mean-squared-error", by="independent")
def test_the_losses_are_those_of_torch(displayed, regressions):
    for names in regressions:
        assert displayed("eq-sum-of-squares").holds(names)
        assert displayed("eq-half-mean-squared-error").holds(names)


@pytest.mark.proves(
    "eq-normal-equations", "eq-closed-form", "eq-orthogonality", "eq-pythagoras", by="independent"
)
def test_the_coefficients_of_scikit_learn_solve_the_normal_equations(displayed, regressions):
    for names in regressions:
        assert displayed("eq-normal-equations").holds(names)
        assert displayed("eq-closed-form").holds(names)
        assert displayed("eq-orthogonality").holds(names)
        assert displayed("eq-pythagoras").holds(names)


@pytest.mark.proves("eq-minimum-norm", by="independent")
def test_the_shortest_solution_is_the_one_without_a_part_that_fits_nothing(displayed, rng):
    X, y = rng.normal(size=(3, 5)), rng.normal(size=(3, 1))
    inverse = X.T @ np.linalg.inv(X @ X.T)
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    names = {r"\hat\beta": fitted(X, y), "X^+": inverse, "y": y}
    names |= {"U": U, r"\Sigma": np.diag(s), "V": Vt.T}
    assert displayed("eq-minimum-norm").holds(names)


@pytest.mark.proves("eq-normal-equations-expansion", by="independent")
def test_the_sum_of_squares_of_torch_expands_as_the_proof_says(displayed, regressions):
    for names in regressions:
        assert displayed("eq-normal-equations-expansion").holds(names)


# Ways to compute it


@pytest.mark.proves("eq-cholesky", "eq-qr", "eq-qr-split", by="independent")
def test_the_triangles_of_scipy_lead_to_the_coefficients(displayed, regressions):
    for names in regressions:
        X, y, p = np.array(names["X"]), np.array(names["y"]), names["p"]
        R = linalg.cholesky(X.T @ X)
        w = linalg.solve_triangular(R, X.T @ y, trans="T")
        assert displayed("eq-cholesky").holds(names | {"R": R, "w": w})
        Q, triangle = linalg.qr(np.hstack([X, y]), mode="economic")
        names |= {r"[X \;\; y]": np.hstack([X, y]), "Q": Q, "I": np.eye(p + 1)}
        names |= {"R": triangle[:p, :p], "w": triangle[:p, p:], r"\tau": triangle[p, p]}
        assert displayed("eq-qr").holds(names)
        assert displayed("eq-qr-split").holds(names)


# The gradient


@pytest.mark.proves(
    "eq-residual-derivative", "eq-gradient-coordinate", "eq-ols-gradient", by="derivative"
)
def test_the_gradient_is_that_of_automatic_differentiation(displayed, regressions):
    def gradient(X, y, beta):
        beta = torch.tensor(np.array(beta), requires_grad=True)
        (
            torch.nn.functional.mse_loss(torch.from_numpy(X) @ beta, torch.from_numpy(y)) / 2
        ).backward()
        return beta.grad.numpy()

    for names in regressions:
        X, y, beta = (np.array(names[name]) for name in ("X", "y", r"\beta"))
        nabla = {r"\nabla J": lambda beta, X=X, y=y: gradient(X, y, beta)}
        assert displayed("eq-ols-gradient").holds(names | nabla)
        residuals = torch.autograd.functional.jacobian(
            lambda b, X=X, y=y: (torch.from_numpy(X) @ b - torch.from_numpy(y)).ravel(),
            torch.from_numpy(beta),
        )
        for i, j in [(1, 2), (3, 1), (2, 3)]:
            at = names | {"i": i, "j": j}
            slope = residuals[i - 1, j - 1, 0].item()
            derivative = {r"\frac{\partial r_i}{\partial \beta_j}": slope}
            assert displayed("eq-residual-derivative").holds(at | derivative)
            slope = gradient(X, y, beta)[j - 1, 0]
            derivative = {r"\frac{\partial J}{\partial \beta_j}": slope}
            assert displayed("eq-gradient-coordinate").holds(at | derivative)


@pytest.mark.proves("eq-gd-least-squares", "eq-gd-least-squares-error", by="independent")
def test_the_points_are_those_of_the_package(displayed, regressions):
    for names in regressions:
        X, y = np.array(names["X"]), np.array(names["y"])
        loss, start = SquaredError(X, y.ravel()), names[r"\delta"].ravel()
        points = minimize(loss, start, GradientDescent(0.3), max_steps=4).points[:, :, None]
        H = np.mean([np.outer(row, row) for row in X], axis=0)
        names |= {r"\beta": list(points), "t": 0.3, "H": H, "I": np.eye(names["p"])}
        for k in (2, 3):
            assert displayed("eq-gd-least-squares").holds(names | {"k": k})
            assert displayed("eq-gd-least-squares-error").holds(names | {"k": k})


@pytest.mark.proves("eq-gd-least-squares-rate", by="worst case")
def test_the_rate_is_attained_from_an_eigenvector_at_either_end(displayed, rng):
    X, y = rng.normal(size=(9, 3)) @ rng.normal(size=(3, 4)), rng.normal(size=9)  # of rank 3
    eigenvalues, vectors = np.linalg.eigh(X.T @ X / 9)
    m, L = eigenvalues[[1, -1]]
    shortest = np.linalg.pinv(X) @ y
    for t, worst in [(0.4 / L, vectors[:, 1]), (1.98 / L, vectors[:, -1])]:
        rho = max(abs(np.linalg.eigvalsh(np.eye(4) - t * X.T @ X / 9)[:-1]))
        for start, is_worst in [(worst, True), (vectors[:, 1:] @ rng.normal(size=3), False)]:
            nearest = shortest + 0.7 * vectors[:, 0]
            points = minimize(
                SquaredError(X, y), nearest + start, GradientDescent(t), max_steps=5
            ).points
            names = {r"\hat\beta": np.c_[nearest], r"\beta": [np.c_[point] for point in points]}
            names |= {r"\rho": rho, "t": t, "m": m, "L": L}
            for k in (1, 3):
                asked = displayed("eq-gd-least-squares-rate")
                assert asked.holds(names | {"k": k}, tight=is_worst)


@pytest.mark.proves("eq-directional-difference", by="truth")
def test_the_slope_of_a_cubic_is_its_difference_up_to_a_known_rest(displayed, rng):
    for h in (0.4, 1.7):
        cubes, line, beta, v = rng.normal(size=(4, 3, 1))
        names = {"J": lambda b, c=cubes, a=line: (c * b**3 + a * b).sum(), r"\beta": beta, "v": v}
        names |= {r"\nabla J": lambda b, c=cubes, a=line: 3 * c * b**2 + a, "h": h}
        rest = {"O": lambda size, c=cubes, v=v: -size * (c * v**3).sum()}
        assert displayed("eq-directional-difference").holds(names | rest)


@pytest.mark.proves("eq-usable-steps", by="worst case")
def test_a_longer_step_does_not_approach_the_minimizer_from_everywhere(displayed, rng):
    def longest(loss, minimizer, start):
        def growth(t):
            return np.linalg.norm(start - t * loss(minimizer + start)[1]) - np.linalg.norm(start)

        return optimize.brentq(growth, 1e-3, 1e3, xtol=1e-14)

    for n, p in [(7, 3), (12, 2)]:
        X, y = rng.normal(size=(n, p)), rng.normal(size=n)
        minimizer, worst = fitted(X, y).ravel(), np.linalg.svd(X)[2][0]
        names = {"t_J": longest(SquaredError(X, y), minimizer, worst), "n": n}
        names |= {"t_S": longest(SumOfSquares(X, y), minimizer, worst)}
        names |= {"L": torch.linalg.matrix_norm(torch.from_numpy(X), 2).item() ** 2 / n}
        assert displayed("eq-usable-steps").holds(names)


# Repeated samples


@pytest.fixture
def repeated(rng):
    """Names, and a world for each pattern of signs of the errors."""
    n, p, sigma = 5, 2, 0.7
    X, beta = rng.normal(size=(n, p)), rng.normal(size=(p, 1))
    ours = np.linalg.pinv(X)
    A = ours + rng.normal(size=(p, n)) @ (np.eye(n) - X @ ours)  # also unbiased
    worlds = []
    for signs in itertools.product([-1.0, 1.0], repeat=n):
        u = sigma * np.array([signs]).T
        y = X @ beta + u
        world = {"u": u, r"\hat\beta": np.linalg.lstsq(X, y)[0], r"\tilde\beta": A @ y}
        worlds.append((0.5**n, world | {"S": losses(X, y)["S"]}))
    names = {"X": X, r"\beta": beta, r"\sigma": sigma, "n": n, "p": p, "A": A, "D": A - ours}
    return names, worlds


@pytest.mark.proves("eq-sampling-error", by="independent")
def test_the_estimate_misses_by_a_map_of_the_errors(displayed, repeated):
    names, worlds = repeated
    for _, world in worlds[5:8]:
        assert displayed("eq-sampling-error").holds(names | world)


@pytest.mark.proves(
    "eq-sampling-mean",
    "eq-sampling-variance",
    "eq-gauss-markov",
    "eq-residual-variance",
    by="truth",
)
def test_moments_are_exact_over_all_signs_of_the_errors(displayed, repeated):
    assert displayed("eq-sampling-mean").holds(*repeated)
    assert displayed("eq-sampling-variance").holds(*repeated)
    assert displayed("eq-gauss-markov").holds(*repeated)
    assert displayed("eq-residual-variance").holds(*repeated)


@pytest.mark.proves("eq-partialling-out", by="independent")
def test_residuals_on_residuals_give_the_coefficients_of_the_whole(displayed, regressions):
    for names in regressions:
        X, y = np.array(names["X"]), np.array(names["y"])
        Q = linalg.orth(X[:, :2])
        split = {"X_2": X[:, 2:], r"\hat\beta_2": names[r"\hat\beta"][2:], "y": y}
        assert displayed("eq-partialling-out").holds(split | {"M_1": np.eye(len(y)) - Q @ Q.T})


@pytest.mark.proves("eq-sandwich", by="independent")
def test_the_sandwich_is_the_sum_of_what_each_row_moves(displayed, regressions):
    for names in regressions:
        X, y, n = np.array(names["X"]), np.array(names["y"]), names["n"]
        residuals = (y - X @ names[r"\hat\beta"]).ravel()
        moved = np.linalg.pinv(X) * residuals
        names |= {r"\hat V": moved @ moved.T, "B": np.linalg.inv(X.T @ X)}
        rows = {"x": one_based(X.reshape(n, -1, 1)), r"\hat r": one_based(residuals)}
        assert displayed("eq-sandwich").holds(names | rows)


# Three questions


@pytest.mark.proves("eq-s-curve", "eq-distance", "eq-best-coefficients", by="independent")
def test_the_curve_its_distances_and_its_coefficients_are_those_of_the_package(displayed, rng):
    def f(x):
        return datasets.s_curve(np.array([x]))[0]

    for x in (-0.4, 0.9):
        assert displayed("eq-s-curve").holds({"f": f, "x": x})

    def g(x):
        return 0.4 - 1.3 * x + 0.7 * x**3

    def h(x):
        return 0.2 + x - 0.6 * x**2

    apart = integrate.quad(lambda x: (g(x) - h(x)) ** 2 / 2, -1, 1)[0] ** 0.5
    assert displayed("eq-distance").holds({"f": g, "g": h, r"\lVert f - g \rVert": apart})
    legendre = [lambda x: 1.0, lambda x: x, lambda x: (3 * x**2 - 1) / 2]
    phi = [lambda x, j=j, P=P: (2 * j + 1) ** 0.5 * P(x) for j, P in enumerate(legendre)]
    for of in (g, h):
        c = three_errors.project(of, 2)
        for j in (1, 2):
            names = {"f": of, r"\phi": phi, "c": c, "j": j}
            assert displayed("eq-best-coefficients").holds(names)


@pytest.mark.proves(
    "eq-three-errors", "eq-three-errors-pythagoras", "eq-three-errors-triangle", by="instances"
)
def test_the_errors_of_fitted_polynomials_add_up_at_a_right_angle(displayed, rng):
    x, weights = three_errors.nodes()
    curve, root = datasets.s_curve(x), np.sqrt(weights / np.sum(weights))

    def column(values):  # Euclid's norm of it is the distance of curves from zero
        return np.c_[root * values]

    best = Polynomial.fit(x, curve, 3, w=root).convert()
    at = rng.uniform(-1, 1, size=20)
    fit = Polynomial.fit(at, datasets.s_curve(at) + 0.3 * rng.normal(size=20), 3).convert()
    stopped = fit + Polynomial(0.1 * rng.normal(size=4))
    names = {"f": column(curve), "f_d": column(best(x)), r"\hat f": column(fit(x))}
    names |= {r"\hat f_k": column(stopped(x))}
    assert displayed("eq-three-errors").holds(names)
    assert displayed("eq-three-errors-pythagoras").holds(names)
    assert displayed("eq-three-errors-triangle").holds(names)
    on_the_way = {r"\hat f_k": column(best(x) + 1.4 * (fit(x) - best(x)))}
    assert displayed("eq-three-errors-triangle").holds(names | on_the_way, tight=True)


@pytest.mark.proves("eq-estimation-rate", by="truth")
def test_the_estimation_error_is_p_over_n_variances_and_misfits(displayed, rng):
    for degree, sigma, n in [(1, 0.2, 1_500), (3, 0.1, 2_000)]:
        (missed,) = three_errors.approximation_errors(datasets.s_curve, [degree])
        coefficients = three_errors.project(datasets.s_curve, degree)
        squares = []
        for _ in range(100):  # designs; over the noise the mean is exact
            x = rng.uniform(-1, 1, size=n)
            features = three_errors.legendre(x, degree)
            spread = np.linalg.pinv(features)
            misfit = datasets.s_curve(x) - features @ coefficients
            squares.append(sigma**2 * np.sum(spread**2) + np.sum((spread @ misfit) ** 2))
        names = {r"\mathbb{E}\, \lVert \hat f - f_d \rVert^2": np.mean(squares), "n": n}
        names |= {r"\lVert f_d - f \rVert": missed, r"\sigma": sigma, "p": degree + 1}
        assert displayed("eq-estimation-rate").holds(names, near=0.05)


@pytest.mark.proves("eq-condition-number", "eq-squared-condition", by="independent")
def test_the_condition_number_is_that_of_numpy(displayed, regressions):
    for names in regressions:
        s = torch.linalg.svdvals(torch.from_numpy(np.array(names["X"]))).numpy()
        names |= {r"\kappa": lambda X: np.linalg.cond(np.array(X)), "s": one_based(s)}
        assert displayed("eq-condition-number").holds(names)
        assert displayed("eq-squared-condition").holds(names)


# Advertising


@pytest.mark.proves("eq-ad-variance", by="truth")
def test_the_difference_of_two_means_has_the_variance_of_the_dummy(displayed):
    for n, sigma in [(4, 0.7), (6, 1.9)]:
        worlds = [
            (0.5**n, {r"\hat\beta_2": sigma * (np.mean(signs[::2]) - np.mean(signs[1::2]))})
            for signs in itertools.product([-1.0, 1.0], repeat=n)
        ]
        assert displayed("eq-ad-variance").holds({r"\sigma": sigma, "n": n}, worlds)


@pytest.mark.proves("eq-ad-return", "eq-ad-power", by="independent")
def test_the_return_and_the_people_it_takes_are_those_that_reach_the_power(displayed):
    for sd, cost, margin, lift, gap in [(3.0, 0.14, 0.5, 0.9, 0.4), (7.0, 0.3, 0.35, 2.1, 0.7)]:
        names = {r"\text{margin}": margin, r"\text{cost}": cost, r"\beta_2": lift}
        profit = 1_000 * margin * lift - 1_000 * cost
        assert displayed("eq-ad-return").holds(names | {r"\text{ROI}": profit / (1_000 * cost)})
        two_and_two = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
        unit = margin / cost * np.sqrt(4 * covariance(two_and_two, noise_sd=sd)[1, 1])

        def power(n, unit=unit, gap=gap):  # that it rejects on the wrong side is one in a million
            return stats.norm.sf(stats.norm.isf(0.025) - gap * np.sqrt(n) / unit) - 0.8

        names |= {"n": optimize.brentq(power, 10.0, 1e8, xtol=1e-9), r"\Delta": gap, r"\sigma": sd}
        names |= {f"z_{{{q}}}": stats.norm.ppf(q) for q in (0.975, 0.8)}
        assert displayed("eq-ad-power").holds(names)
