"""The chapter's displays, evaluated as the page has them."""

import itertools
import re

import mpmath
import numpy as np
import pytest
import scipy
import torch
from torch.autograd.functional import hessian, jacobian

from dlcourse.chapters.logistic_regression import race
from dlcourse.chapters.logistic_regression.three_errors import ad_fatigue, nearest_logit
from dlcourse.linear import logistic
from dlcourse.linear.margins import widest_margin
from dlcourse.linear.three_errors import legendre
from dlcourse.losses import LogisticLoss
from dlcourse.optim import GradientDescent, minimize
from tools import errata_rows
from tools.formula import Display, one_based

LARGEST = {r"\lambda_{\max}": lambda A: np.linalg.eigvalsh(A)[-1]}


def column(x):
    return np.asarray(x, dtype=float).reshape(-1, 1)


def rows(X):
    """The rows of X as columns x_1, x_2, ..., as the page has them."""
    return one_based(np.asarray(X)[:, :, None])


def chance(score):
    return scipy.stats.logistic.cdf(score)


def fall(X, y):
    """The mean loss, its gradient and its Hessian as functions of a column, by PyTorch."""
    X, y = torch.tensor(X), torch.tensor(y)

    def J(beta):
        scores = X @ torch.as_tensor(beta).ravel()
        return torch.nn.functional.binary_cross_entropy_with_logits(scores, y)

    def gradient(beta):
        return column(jacobian(J, torch.tensor(beta.ravel())))

    def curvature(beta):
        return hessian(J, torch.tensor(beta.ravel())).numpy()

    return {"J": lambda beta: J(beta).item(), r"\nabla J": gradient, "H": curvature}


@pytest.fixture
def few(rng):
    """Eight observations whose classes overlap, and two points to evaluate at."""
    X = np.column_stack([np.ones(8), rng.normal(size=(8, 2))])
    return X, np.array([1.0, 0, 1, 1, 0, 1, 0, 1]), rng.normal(size=(2, 3))


def named(X, y, beta):
    """The names of the setting at one point."""
    p = chance(X @ beta)
    names = {"x": rows(X), "X": X, "y": one_based(y), "s": one_based(2 * y - 1), "n": len(y)}
    names |= {"i": range(1, len(y) + 1), "p": one_based(p), "W": np.diag(p * (1 - p))}
    return names | {r"\beta": column(beta), r"\sigma": scipy.special.expit}


# The model


@pytest.mark.proves(
    "eq-logistic-odds", "eq-logistic-model", "eq-logistic-probability", by="independent"
)
def test_three_to_one_is_three_quarters_and_the_log_odds_are_the_score(displayed, few):
    X, y, points = few
    for beta, i in itertools.product(points, (1, 5)):
        names = named(X, y, beta) | {"i": i, "z": 0.3 * i - 1}
        p = names["p"][i]
        yes, no = (scipy.stats.bernoulli.pmf(k, p) for k in (1, 0))
        assert displayed("eq-logistic-odds").holds(names | {r"\text{odds}": yes / no})
        assert displayed("eq-logistic-model").holds(names)
        assert displayed("eq-logistic-probability").holds(names)


@pytest.mark.proves("eq-logistic-random-utility", by="independent")
def test_the_better_of_two_with_gumbel_shocks_is_bought_with_logit_probability(displayed, few):
    X, y, points = few
    phrase = r"\Pr\left( x_i^\top \beta + \varepsilon_1 > \varepsilon_0 \right)"
    gumbel = scipy.stats.gumbel_r
    for beta, i in itertools.product(points, (1, 5)):
        score = X[i - 1] @ beta
        buys = scipy.integrate.quad(lambda e, v=score: gumbel.pdf(e) * gumbel.cdf(v + e), -8, 40)
        names = named(X, y, beta) | {"i": i, phrase: buys[0]}
        assert displayed("eq-logistic-random-utility").holds(names, rtol=1e-7)


@pytest.mark.proves(
    "eq-logistic-odds-ratio",
    "eq-logistic-marginal-effect",
    "eq-logistic-average-effect",
    by="derivative",
)
def test_a_unit_multiplies_the_odds_and_a_little_moves_the_probability(displayed, few):
    X, y, points = few
    for beta, j in itertools.product(points, (2, 3)):
        names = named(X, y, beta) | {"j": j, r"\beta": one_based(beta)}

        def moved(by, beta=beta, j=j):
            return chance((X + by * np.eye(3)[j - 1]) @ beta)

        odds = [moved(by) / (1 - moved(by)) for by in (0, 1)]
        names |= {r"\text{odds before}": odds[0][4], r"\text{odds after}": odds[1][4]}
        assert displayed("eq-logistic-odds-ratio").holds(names)
        slopes = (moved(1e-5) - moved(-1e-5)) / 2e-5
        one = names | {"i": 4, r"\frac{\partial p_i}{\partial x_{ij}}": slopes[3]}
        assert displayed("eq-logistic-marginal-effect").holds(one, rtol=1e-7)
        average = names | {r"\text{effect of } j": slopes.mean()}
        assert displayed("eq-logistic-average-effect").holds(average, rtol=1e-7)


# The loss


@pytest.mark.proves(
    "eq-logistic-likelihood", "eq-logistic-loss", "eq-logistic-margin-loss", by="independent"
)
def test_the_loss_is_minus_the_mean_log_likelihood_and_one_function_of_the_margin(displayed, few):
    X, y, points = few
    for beta in points:
        names = named(X, y, beta) | fall(X, y)
        coins = scipy.stats.bernoulli(chance(X @ beta))
        likelihood = displayed("eq-logistic-likelihood").value(names)
        assert likelihood == pytest.approx(coins.pmf(y).prod(), rel=1e-12)
        assert displayed("eq-logistic-margin-loss").holds(names)
        names[r"\ell"] = one_based(coins.logpmf(y))
        for i in (2, 3):  # a 0 and a 1
            assert displayed("eq-logistic-loss").holds(names | {"i": i})


@pytest.mark.proves("eq-logistic-softplus", by="independent")
def test_the_stable_form_is_the_logarithm_in_sixty_digits(displayed):
    with mpmath.workdps(60):
        for u in (-3.0, -0.4, 0.7, 25.0, 700.0):
            exact = {r"\log(1 + e^u)": float(mpmath.log1p(mpmath.exp(u))), "u": u}
            assert displayed("eq-logistic-softplus").holds(exact, rtol=1e-14)


@pytest.mark.erratum("E06")
def test_the_gradient_that_the_errata_print_is_that_of_the_log_likelihood(few):
    """The chapter leaves it as homework and says where it is printed."""
    X, y, points = few
    correct = errata_rows.read()["E06"].correct
    (printed,) = re.findall(r"gradient of the log-likelihood is \$(.+?)\$", correct)
    gradient = fall(X, y)[r"\nabla J"]
    for beta in points:
        found = Display("E06", printed).value(named(X, y, beta) | {"t": range(1, 9)})
        np.testing.assert_allclose(found, -8 * gradient(beta), rtol=1e-10)


# Curvature and solvers


@pytest.mark.proves(
    "eq-logistic-hessian", "eq-logistic-curvature", "eq-logistic-smoothness", by="derivative"
)
def test_the_curvature_is_that_of_automatic_differentiation_and_largest_at_zero(displayed, few):
    X, y, points = few
    for beta, v in (points, points[::-1]):
        names = named(X, y, beta) | fall(X, y) | {"v": column(v)}
        assert displayed("eq-logistic-hessian").holds(names)
        names["H"] = names["H"](beta)
        assert displayed("eq-logistic-curvature").holds(names)
    steepest = np.linalg.norm(fall(X, y)["H"](np.zeros(3)), 2)
    assert displayed("eq-logistic-smoothness").holds(names | LARGEST | {"L": steepest})


@pytest.mark.proves("eq-logistic-hessian-lipschitz", by="worst case")
def test_the_hessian_changes_at_most_as_fast_as_b_and_that_fast_at_the_steepest(displayed, few):
    X, y, points = few
    weight = lambda z: chance(z) * chance(-z)  # noqa: E731
    steepest = scipy.optimize.minimize_scalar(
        lambda z: (weight(z + 1e-4) - weight(z - 1e-4)) / 2e-4, bounds=(0, 3), method="bounded"
    )

    def names_of(X, y, beta, gamma):
        sizes, n = np.linalg.norm(X, axis=1), len(y)
        B = -steepest.fun * sizes.max() * np.linalg.norm(X, 2) ** 2 / n
        at = {r"\beta": column(beta), r"\gamma": column(gamma), "B": B}
        return named(X, y, beta) | LARGEST | at | {"H": lambda b: logistic.hessian(X, b.ravel())}

    holds = displayed("eq-logistic-hessian-lipschitz").holds
    assert holds(names_of(X, y, *points), rtol=1e-6)
    alike = np.tile([[1.3, -0.6]], (4, 1))  # all rows change together, and along themselves
    at = alike[0] * steepest.x / (alike[0] @ alike[0])
    names = names_of(alike, y[:4], at * 1.0001, at * 0.9999)
    assert holds(names, tight=True, rtol=1e-6)


@pytest.mark.proves("eq-logistic-newton", "eq-logistic-newton-error", by="independent")
def test_newton_steps_by_automatic_differentiation_leave_the_integral_as_error(displayed, few):
    X, y, points = few
    pieces = fall(X, y)
    best = column(logistic.by_newton(X, y).coefficients)
    for beta in points:
        path = [column(beta)]
        for _ in range(2):
            H, g = pieces["H"](path[-1]), pieces[r"\nabla J"](path[-1])
            path.append(path[-1] - np.linalg.solve(H, g))
        ours = {"H": lambda b: logistic.hessian(X, b.ravel())}
        ours[r"\nabla J"] = lambda b: column(LogisticLoss(X, y)(b.ravel())[1])
        for k in (0, 1):
            assert displayed("eq-logistic-newton").holds(ours | {r"\beta": path, "k": k})

        def change(tau, beta=path[0]):
            p, q = (scipy.special.expit(X @ b) for b in (beta, best + tau * (beta - best)))
            return X.T @ ((p * (1 - p) - q * (1 - q)) * X) / len(y)

        names = {"e": path[0] - best, "e^+": path[1] - best, "D": change, r"\tau": 0.3}
        names |= {r"\beta": path[0], r"\hat\beta": best} | pieces
        assert displayed("eq-logistic-newton-error").holds(names, rtol=1e-7)


@pytest.mark.proves("eq-logistic-newton-rate", by="worst case")
def test_newton_squares_the_error_and_the_function_in_the_proof_attains_it(displayed, few):
    X, y, _ = few
    best = logistic.by_newton(X, y).coefficients
    smallest = np.linalg.eigvalsh(logistic.hessian(X, best))[0]
    B = race.hessian_lipschitz(X)
    for share, way in itertools.product((0.3, 1.0), np.eye(3)):
        beta = best + way * share * smallest / (2 * B)
        step = np.linalg.solve(logistic.hessian(X, beta), LogisticLoss(X, y)(beta)[1])
        e = [np.linalg.norm(beta - best), np.linalg.norm(beta - step - best)]
        names = {"e": e, "k": 0, "B": B, r"\lambda": smallest}
        assert displayed("eq-logistic-newton-rate").holds(names)
    for lam, B in ((0.7, 3.1), (2.3, 0.4)):
        x = torch.tensor(lam / (2 * B), dtype=torch.float64)
        f = lambda x, lam=lam, B=B: lam / 2 * x**2 - B / 6 * abs(x) ** 3  # noqa: E731
        e = [x.item(), abs(x - jacobian(f, x) / hessian(f, x)).item()]
        names = {"e": e, "k": 0, "B": B, r"\lambda": lam}
        assert displayed("eq-logistic-newton-rate").holds(names, tight=True)


@pytest.mark.proves("eq-logistic-gd-rate", by="truth")
def test_late_steps_shrink_the_distance_by_the_slowest_factor(displayed, few):
    X, y, _ = few
    best = logistic.by_newton(X, y).coefficients
    smallest = {r"\lambda_{\min}": lambda A: np.linalg.eigvalsh(A)[0]}
    for share in (0.6, 1.0):
        t = share / logistic.smoothness(X)
        run = minimize(LogisticLoss(X, y), np.zeros(3), GradientDescent(t), max_steps=400)
        names = {r"\beta": [column(b) for b in run.points], r"\hat\beta": column(best), "t": t}
        for k in (90, 120):
            names |= smallest | fall(X, y) | {"k": k}
            assert displayed("eq-logistic-gd-rate").holds(names, near=1e-3)


# Inference


def outcomes_of(X, beta):
    """Pairs of the probability of a vector of outcomes and the vector, over all of them."""
    coins = scipy.stats.bernoulli(chance(X @ beta))
    every = (np.array(y) for y in itertools.product((0.0, 1.0), repeat=len(X)))
    return [(coins.pmf(y).prod(), y) for y in every]


@pytest.mark.proves("eq-logistic-information", "eq-logistic-information-proof", by="independent")
def test_over_all_outcomes_the_gradients_variance_is_the_curvature_over_n(displayed, few):
    X, y, points = few
    X = X[:3]

    def gradient(beta, y):
        return column(LogisticLoss(X, y)(beta.ravel())[1])

    for beta in points:
        outcomes = outcomes_of(X, beta)
        names = {"n": 3, r"\beta": column(beta), "H": fall(X, y[:3])["H"]}
        worlds = [(p, {r"\nabla J": lambda b, y=y: gradient(b, y)}) for p, y in outcomes]
        assert displayed("eq-logistic-information").holds(names, worlds)
        probability = {y.tobytes(): p for p, y in outcomes}
        names |= {"y": [y for _, y in outcomes], "f": lambda y, p=probability: p[y.tobytes()]}
        names[r"\nabla J"] = gradient
        assert displayed("eq-logistic-information-proof").holds(names)


@pytest.mark.proves("eq-logistic-covariance", by="truth")
def test_the_variance_of_two_groups_log_odds_is_the_inverse_information(displayed):
    """A logit with a dummy, whose estimates are log odds of counts: their variance is exact."""
    for sizes, chances in (((400, 300), (0.4, 0.7)), ((250, 500), (0.5, 0.3))):
        v = []
        for n, p in zip(sizes, chances, strict=True):
            counts = np.arange(1, n)
            weights = scipy.stats.binom.pmf(counts, n, p)
            v.append(np.cov(np.log(counts / (n - counts)), aweights=weights, ddof=0))
        variance = np.array([[v[0], -v[0]], [-v[0], v[0] + v[1]]])
        X = np.column_stack([np.ones(sum(sizes)), np.repeat([0.0, 1.0], sizes)])
        log_odds = scipy.special.logit(chances)
        beta = np.array([log_odds[0], log_odds[1] - log_odds[0]])
        names = named(X, X[:, 1], beta) | {r"\hat\beta": column(beta)}
        names |= {r"\operatorname{Var}(\hat\beta)": variance}
        names["H"] = lambda b, X=X: logistic.hessian(X, b.ravel())
        assert displayed("eq-logistic-covariance").holds(names, near=0.02)


@pytest.mark.proves("eq-logistic-wald", by="independent")
def test_walds_interval_is_the_normal_one_around_the_estimate(displayed, few):
    X, y, _ = few
    beta = logistic.by_newton(X, y).coefficients
    names = named(X, y, beta) | {r"\hat\beta": one_based(beta)}
    names["z_{0.975}"] = scipy.stats.norm.isf(0.025)
    information = len(y) * fall(X, y)["H"](column(beta))
    for j in (1, 3):
        error = np.linalg.solve(information, np.eye(3))[j - 1, j - 1] ** 0.5
        ends = scipy.stats.norm(beta[j - 1], error).interval(0.95)
        for sign, end in zip((-1, 1), ends, strict=True):
            at = displayed("eq-logistic-wald").value(names | {"j": j, r"\pm": sign})
            assert at == pytest.approx(end, rel=1e-12)


# The three convergences


@pytest.mark.proves("eq-logistic-ad-fatigue", by="independent")
def test_ads_help_until_they_annoy_by_the_curve_that_the_chapter_draws(displayed):
    for x in (-0.9, -0.2, 0.35):
        names = {"p": ad_fatigue, "x": np.array([[x]]), r"\sigma": scipy.special.expit}
        assert displayed("eq-logistic-ad-fatigue").holds(names)


@pytest.mark.proves("eq-logistic-projection", by="independent")
def test_the_nearest_logit_minimizes_the_cross_entropy(displayed):
    nodes, weights = np.polynomial.legendre.leggauss(200)
    for d in (1, 3):
        c = nearest_logit(ad_fatigue, d)
        phi = legendre(nodes, d)

        def entropy(c, phi=phi):  # of the truth, and its divergence from the logit
            p, q = (np.stack([p, 1 - p]) for p in (ad_fatigue(nodes), chance(phi @ c)))
            return scipy.stats.entropy(p) + scipy.stats.entropy(p, q)

        moves = 1e-3 * np.vstack([np.eye(d + 1), -np.eye(d + 1)])
        is_least = all(weights @ entropy(c) < weights @ entropy(c + move) for move in moves)
        assert is_least
        for at in (30, 120):
            names = {r"\phi": column(phi[at]), "c": column(c), r"\sigma": scipy.special.expit}
            names |= {"p": ad_fatigue(nodes)[at], "p_d": chance(phi @ c)[at]}
            names |= {r"\ell": entropy(c)[at], r"c \text{ minimizes } \mathbb{E}\, \ell": is_least}
            assert displayed("eq-logistic-projection").holds(names)


@pytest.mark.proves("eq-logistic-three-errors", by="worst case")
def test_a_detour_is_no_shortcut_and_on_one_line_it_is_the_way(displayed, rng):
    for is_line in (True, False):
        ways = np.outer((0.3, 1.1, 0.7), rng.normal(size=5)) if is_line else rng.normal(size=(3, 5))
        p, p_d, fit, on_the_way = map(column, np.cumsum([rng.random(5), *ways], axis=0))
        names = {"p": p, "p_d": p_d, r"\hat p": fit, r"\hat p_k": on_the_way}
        assert displayed("eq-logistic-three-errors").holds(names, tight=is_line)


@pytest.mark.proves("eq-logistic-estimation-rate", by="truth")
def test_the_estimation_error_of_shares_is_the_trace_and_largest_at_even_chances(displayed):
    """A polynomial through all points of x: its fit is the share of ones at each of them."""
    for x, p in (((-0.8, 0.1, 0.9), (0.2, 0.6, 0.7)), ((-0.5, 0.4), (0.5, 0.5))):
        d = len(x) - 1
        phi = np.polynomial.legendre.legvander(x, d)
        at_each = 30
        error = np.mean([scipy.stats.binom.var(at_each, q) / at_each**2 for q in p])
        w = [scipy.stats.bernoulli.var(q) for q in p]
        H, G = (sum(v**k * np.outer(f, f) for v, f in zip(w, phi, strict=True)) for k in (1, 2))
        names = {r"\mathbb{E}\, \lVert \hat p - p_d \rVert^2": error, "n": at_each * len(x), "d": d}
        names |= {"H": H / len(x), "G": G / len(x), "p_d": p[0], "w": w[0]}
        worlds = [(1 / len(x), {"w": v, r"\phi": column(f)}) for v, f in zip(w, phi, strict=True)]
        is_even = len(set(p)) == 1
        assert displayed("eq-logistic-estimation-rate").holds(
            names, worlds, tight=is_even, near=1e-9
        )


# Existence


def at_the_worst(X, y):
    """delta of the theorem for two coefficients."""
    angles = np.linspace(0, 2 * np.pi, 40_001)
    return (-(2 * y - 1)[:, None] * (X @ [np.cos(angles), np.sin(angles)])).max(0).min()


@pytest.mark.proves("eq-logistic-separation", by="independent")
def test_along_a_direction_that_separates_and_no_other_no_loss_of_an_observation_rises(displayed):
    x = np.array([-2.0, -0.4, -0.4, 1.5, 0.7])
    X = np.column_stack([np.ones(5), x])
    law = displayed("eq-logistic-separation")
    for y, d in itertools.product(
        ([0.0, 0, 0, 1, 1], [0.0, 0, 1, 1, 1], [0.0, 1, 0, 1, 0]),
        ([0.0, 0.0], [0.1, 0.4], [0.16, 0.4], [-0.2, -0.5], [2.0, 1.0]),
    ):
        y, d = np.array(y), np.array(d)
        losses = [LogisticLoss(X[[i]], y[[i]]) for i in range(5)]
        rises = [loss(3 * d)[0] - loss(0 * d)[0] for loss in losses]
        separates = max(rises) < 1e-15 and min(rises) < -1e-15
        names = named(X, y, d) | {"d": column(d)}
        assert law.holds(names) if separates else law.fails(names)


@pytest.mark.proves("eq-logistic-estimate-bound", by="worst case")
def test_the_loss_grows_at_least_by_delta_over_n_and_in_the_end_just_so(displayed, few):
    X, y, points = few
    J = fall(X[:, :2], y)["J"]
    best = logistic.by_newton(X[:, :2], y).coefficients
    names = {"J": J, "n": 8, r"\delta": at_the_worst(X[:, :2], y), r"\hat\beta": column(best)}
    assert displayed("eq-logistic-estimate-bound").holds(names | {r"\beta": column(points[0, :2])})
    for delta in (0.5, 0.8):  # one of four is on the wrong side, and its loss alone is left
        X, y = np.array([[1.3], [-0.9], [1.1], [delta]]), np.array([1.0, 0.0, 1.0, 0.0])
        names = {"J": fall(X, y)["J"], "n": 4, r"\delta": delta, r"\beta": np.array([[150.0]])}
        names[r"\hat\beta"] = column(logistic.by_newton(X, y).coefficients)
        assert displayed("eq-logistic-estimate-bound").holds(names, tight=[1])


@pytest.fixture
def apart(rng):
    """Two groups that a line through the origin tells apart, with a narrow gap."""
    X = rng.normal(size=(14, 2)) @ np.diag([1.0, 0.8])
    score = X @ [1.0, -0.7]
    X = X + np.outer(np.sign(score), [0.3, -0.2])
    return X, (score > 0) * 1.0


@pytest.mark.proves("eq-logistic-widest-margin", by="independent")
def test_the_widest_margin_is_the_shortest_vector_with_margins_of_one(displayed, apart):
    X, y = apart
    A = (2 * y - 1)[:, None] * X
    limits = {"type": "ineq", "fun": lambda w: A @ w - 1, "jac": lambda w: A}
    shortest = scipy.optimize.minimize(
        lambda w: w @ w, np.array([2.0, -2.0]), jac=lambda w: 2 * w, constraints=limits, tol=1e-12
    )
    names = named(X, y, np.zeros(2)) | {r"\arg\min_w \lVert w \rVert": column(shortest.x)}
    names |= dict.fromkeys((r"\hat w", "w"), column(widest_margin(X, y)))
    assert displayed("eq-logistic-widest-margin").holds(names, tight=True, rtol=1e-6)
    assert displayed("eq-logistic-widest-margin").holds(names | {"w": 1.5 * names["w"]}, rtol=1e-6)


@pytest.mark.proves("eq-logistic-implicit-bias", by="truth")
def test_descent_follows_the_widest_margin_and_the_rest_is_where_its_pull_is_even(displayed):
    """Two supports in the plane: the rest ends where their pulls are the margin's multipliers."""
    X, y = np.array([[1.2, -0.3], [0.2, -0.9], [3.0, 2.0], [-2.0, -2.5]]), np.array([1.0, 0, 1, 0])
    A = (2 * y - 1)[:, None] * X
    w_hat, t, k = widest_margin(X, y), 1 / logistic.smoothness(X), 4_000
    multipliers = np.linalg.solve(A[:2].T, w_hat)
    rest = np.linalg.solve(A[:2], -np.log(multipliers * len(y) / t))
    beta = np.zeros(2)
    for _ in range(k):
        beta = beta + t * A.T @ scipy.special.expit(-A @ beta) / len(y)
    names = {r"\beta": {k: column(beta)}, r"\hat w": column(w_hat), "k": k}
    names[r"\text{bounded rest}"] = column(rest)
    assert displayed("eq-logistic-implicit-bias").holds(names, rtol=1e-3)


@pytest.mark.proves("eq-logistic-ridge", by="independent")
def test_the_penalized_loss_is_the_packages(displayed, few):
    X, y, points = few
    for beta, lam in zip(points, (0.3, 0.04), strict=True):
        names = named(X, y, beta) | {"J": fall(X, y)["J"], r"\lambda": lam}
        names[r"J_\lambda"] = lambda b, lam=lam: LogisticLoss(X, y, lam)(b.ravel())[0]
        assert displayed("eq-logistic-ridge").holds(names)
        none = {r"J_\lambda": names["J"], r"\lambda": 0.0}
        assert displayed("eq-logistic-ridge").fails(names | none)


@pytest.mark.proves("eq-logistic-firth", by="truth")
def test_firths_penalized_loss_is_that_of_a_table_with_half_a_count_more(displayed):
    for cells, shares in (((7, 3, 2, 8), (0.6, 0.3)), ((6, 1, 2, 5), (0.8, 0.45))):
        dummy, y = np.repeat([1.0, 1, 0, 0], cells), np.repeat([1.0, 0, 1, 0], cells)
        X = np.column_stack([np.ones(len(y)), dummy])
        log_odds = scipy.special.logit(shares)
        names = named(X, y, np.array([log_odds[1], log_odds[0] - log_odds[1]]))
        logs = np.log([shares[0], 1 - shares[0], shares[1], 1 - shares[1]])
        groups = np.log((cells[0] + cells[1]) * (cells[2] + cells[3])) / 2
        more = -((np.array(cells) + 0.5) @ logs + groups) / len(y)
        value = displayed("eq-logistic-firth").value(names | {"J": fall(X, y)["J"]})
        assert value == pytest.approx(more, rel=1e-12)


# Softmax and choice


@pytest.fixture
def classes(rng):
    """Seven observations of four classes, and the names of the setting."""
    X, labels = rng.normal(size=(7, 3)), np.array([0, 2, 1, 3, 2, 0, 1])
    theta = rng.normal(size=(4, 3))
    names = {"x": rows(X), "X": X, "y": one_based(labels + 1), "n": 7, "m": 4}
    names |= {"k": range(1, 5), "l": range(1, 5), r"\theta": rows(theta)}
    names["p"] = one_based(scipy.special.softmax(X @ theta.T, axis=1))
    return X, labels, theta, names


def cross_entropy(X, labels):
    X, labels = torch.tensor(X), torch.tensor(labels)
    return lambda theta: torch.nn.functional.cross_entropy(X @ theta.T, labels)


@pytest.mark.proves(
    "eq-softmax-probability", "eq-softmax-loss", "eq-softmax-base", by="independent"
)
def test_softmax_its_loss_and_its_contrasts_are_those_of_the_libraries(displayed, classes):
    X, labels, theta, names = classes
    for i, k in ((2, 3), (5, 1), (6, 4)):
        one = names | {"i": i, "k": k, r"\beta": rows(theta - theta[0])}
        assert displayed("eq-softmax-probability").holds(one)
        assert displayed("eq-softmax-base").holds(one)
    loss = cross_entropy(X, labels)(torch.tensor(theta)).item()
    assert displayed("eq-softmax-loss").holds(names | {"J": {0: loss}.get, r"\theta": 0})


@pytest.mark.proves("eq-softmax-shift", by="independent")
def test_one_vector_added_to_all_classes_changes_no_probability(displayed, classes, rng):
    *_, names = classes
    for k in (1, 3):
        moved = {"x": column(rng.normal(size=3)), "c": column(rng.normal(size=3)), "k": k}
        assert displayed("eq-softmax-shift").holds(names | moved)


@pytest.mark.proves("eq-softmax-hessian", "eq-softmax-variance", by="derivative")
def test_the_blocks_and_the_variance_are_second_derivatives_of_the_loss(displayed, classes, rng):
    X, labels, theta, names = classes
    blocks = hessian(cross_entropy(X, labels), torch.tensor(theta)).numpy()
    slopes = jacobian(lambda s: torch.softmax(s, 1), torch.tensor(X @ theta.T)).numpy()
    w = {(i, k, to): slopes[i - 1, k - 1, i - 1, to - 1] for i, k, to in np.ndindex(8, 5, 5)}
    for i, k, to in ((2, 1, 3), (6, 4, 2), (5, 3, 3)):
        one = {"i": i, "k": k, "l": to, "H": lambda k, to: blocks[k - 1, :, to - 1], "w": w}
        assert displayed("eq-softmax-hessian").holds(names | one)
        v, p = rng.normal(size=(4, 3)), scipy.special.softmax(X @ theta.T, axis=1)
        V = [np.cov(s, aweights=q, ddof=0) for s, q in zip(X @ v.T, p, strict=True)]
        along = {"i": i, "v": column(v), r"v_{\cdot}": rows(v), "V": one_based(V)}
        assert displayed("eq-softmax-variance").holds(names | along | {"H": blocks.reshape(12, 12)})


@pytest.mark.proves("eq-softmax-zero-sum", by="truth")
def test_where_the_penalized_loss_is_least_the_classes_sum_to_zero(displayed, classes):
    X, labels, theta, names = classes
    loss = cross_entropy(X, labels)
    theta = torch.tensor(theta)
    for _ in range(6):  # Newton's method on the loss with a penalty
        H, g = hessian(loss, theta).reshape(12, 12), jacobian(loss, theta)
        step = torch.linalg.solve(H + 0.3 * torch.eye(12), (g + 0.3 * theta).ravel())
        theta = theta - step.reshape(4, 3)
    assert displayed("eq-softmax-zero-sum").holds(names | {r"\theta": rows(theta.numpy())})


@pytest.mark.proves(
    "eq-logistic-choice", "eq-logistic-choice-two", "eq-logistic-elasticity", by="independent"
)
def test_shares_of_the_market_and_what_a_price_moves_are_those_of_softmax(displayed, rng):
    X, beta = rng.uniform(0.5, 2, size=(3, 2)), np.array([-1.7, 0.6])  # price comes first

    def shares(brands):
        return torch.softmax(torch.tensor(brands @ beta), 0).numpy()

    names = {"x": rows(X), r"\beta": column(beta), "l": range(1, 4)}
    for k in (1, 2, 3):
        share = {r"\Pr(\text{brand } k)": shares(X)[k - 1], "k": k}
        assert displayed("eq-logistic-choice").holds(names | share)
    for k, other in ((0, 1), (2, 0)):
        A, B, dearer = X[k], X[other], [1e-5, 0]
        two = {"x_A": column(A), "x_B": column(B), r"\Pr(A)": shares(np.array([A, B]))[0]}
        two |= {r"\sigma": scipy.special.expit, r"\beta": column(beta)}
        assert displayed("eq-logistic-choice-two").holds(two)
        ends = [shares(np.array([A + sign * np.array(dearer), B]))[0] for sign in (1, -1)]
        slope = {r"\frac{\partial \Pr(A)}{\partial \text{price}_A}": (ends[0] - ends[1]) / 2e-5}
        price = {r"\beta_{\text{price}}": beta[0], r"\text{price}_A": A[0]}
        assert displayed("eq-logistic-elasticity").holds(two | slope | price, rtol=1e-7)


@pytest.mark.proves("eq-logistic-loyalty", by="independent")
def test_loyalty_is_the_geometrically_weighted_share_of_past_purchases(displayed, rng):
    alpha, bought = 0.8, np.array([1, 0, 0, 1, 1, 0, 1])
    past = [(1 - alpha) * alpha ** np.arange(t)[::-1] @ bought[:t] for t in range(8)]
    for start, t in itertools.product((0.5, 0.3), (3, 5)):
        shares = [share + alpha**t * start for t, share in enumerate(past)]
        names = {r"\text{loyalty}": shares, r"\alpha": alpha, "b": bought, "t": t}
        assert displayed("eq-logistic-loyalty").holds(names)


# Exercises


@pytest.mark.proves("eq-logistic-two-by-two", by="independent")
def test_the_table_gives_the_estimate_and_its_standard_error(displayed):
    for cells in ((7, 3, 2, 8), (30, 12, 9, 25)):
        dummy, y = np.repeat([1.0, 1, 0, 0], cells), np.repeat([1.0, 0, 1, 0], cells)
        X = np.column_stack([np.ones(len(y)), dummy])
        beta = logistic.by_newton(X, y).coefficients
        names = dict(zip("abcd", cells, strict=True)) | {r"\hat\beta": beta[1]}
        names[r"\text{s.e.}"] = logistic.covariance(X, beta)[1, 1] ** 0.5
        assert displayed("eq-logistic-two-by-two").holds(names, rtol=1e-7)


@pytest.mark.proves("eq-logistic-interaction", by="derivative")
def test_the_interaction_effect_is_the_cross_derivative(displayed, rng):
    for beta, at in zip(rng.normal(size=(3, 4)), rng.normal(size=(3, 2)), strict=True):

        def p(at, beta=beta):
            return torch.sigmoid(torch.tensor(beta) @ torch.stack([at[0] ** 0, *at, at.prod()]))

        at = torch.tensor(at)
        cross = hessian(p, at)[0, 1].item()
        names = {r"\frac{\partial^2 p}{\partial u\, \partial v}": cross, "p": p(at).item()}
        names |= {"u": at[0].item(), "v": at[1].item(), r"\beta": one_based(beta)}
        assert displayed("eq-logistic-interaction").holds(names)


@pytest.mark.proves("eq-logistic-case-control", by="independent")
def test_among_those_that_are_kept_the_log_odds_are_shifted(displayed, few):
    X, y, points = few
    for i, kept in ((2, (0.9, 0.05)), (6, (0.4, 0.3))):
        names = named(X, y, points[0]) | {"i": i, r"\tau": one_based(kept[::-1], first=0)}
        names[r"\text{kept}"] = 1  # as in all of these worlds
        p = names["p"][i]
        worlds = [(p * kept[0], {"y": {i: 1}}), ((1 - p) * kept[1], {"y": {i: 0}})]
        assert displayed("eq-logistic-case-control").holds(names, worlds)


@pytest.mark.proves("eq-logistic-attenuation", by="independent")
def test_what_is_not_observed_is_a_shock_and_rescales_utility(displayed):
    for beta, omega in ((-3.0, 1.5), (0.7, 0.4)):
        shocks = 2 * scipy.stats.gumbel_r.var()
        found = displayed("eq-logistic-attenuation").value({r"\beta": beta, r"\omega": omega})
        assert found == pytest.approx(beta * (shocks / (shocks + omega**2)) ** 0.5, rel=1e-12)


@pytest.mark.proves("eq-logistic-program", by="independent")
def test_the_program_finds_the_largest_sum_of_margins_in_the_box(displayed, apart):
    X, y = apart
    A, phrase = (2 * y - 1)[:, None] * X, r"\max_d \sum_{i=1}^n s_i x_i^\top d"
    found = scipy.optimize.linprog(-A.sum(0), -A, np.zeros(len(y)), bounds=(-1, 1))
    angles = np.linspace(0, 2 * np.pi, 100_001)
    ways = np.stack([np.cos(angles), np.sin(angles)])
    ways = ways / np.abs(ways).max(0)  # to the edge of the box
    ways = ways[:, (A @ ways).min(0) >= 0]
    names = named(X, y, np.zeros(2)) | {
        "M": -found.fun,
        phrase: (A.sum(0) @ ways).max(),
        "j": (1, 2),
    }

    def at(d):
        return names | {"d": column(d), r"d_{\cdot}": one_based(d)}

    law = displayed("eq-logistic-program")
    assert law.holds(at(found.x), tight=[2], rtol=1e-4)
    assert law.holds(at(0.5 * found.x), rtol=1e-4)
    assert law.fails(at(1.1 * ways[:, np.abs(ways).min(0).argmin()]), rtol=1e-4)  # out of the box
    assert law.fails(at(np.array([0.9, 0.9])), rtol=1e-4)  # some margins are negative
