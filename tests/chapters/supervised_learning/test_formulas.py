"""The chapter's displays, evaluated as the page has them."""

import itertools

import numpy as np
import pytest
from scipy import integrate, optimize, stats
from sklearn.linear_model import LinearRegression, QuantileRegressor
from sklearn.metrics import log_loss, mean_pinball_loss, mean_squared_error

from dlcourse import datasets
from dlcourse.chapters.supervised_learning import constants, newsvendor
from tools.formula import one_based

PAIRS = [(0.2, 1.0, 0.4), (0.5, -0.7, 1.9), (0.3, 2.2, 3.1)]  # probability, X, Y
SLOPES = tuple(np.linspace(-0.6, 2.2, 12))


def line(x, theta):
    return theta * x + 0.3


def squared_error(y, f):
    return constants.squared(f, y)


def risk(theta):
    return sum(p * (y - theta * x - 0.3) ** 2 for p, x, y in PAIRS)


def samples_of(n):
    """Every sample of n pairs as a world: its probability, empirical risk, best slope, a pair."""
    worlds = []
    for drawn in itertools.product(PAIRS, repeat=n):
        p, x, y = np.array(drawn).T

        def empirical(theta, x=x, y=y):
            return ((y - theta * x - 0.3) ** 2).mean()

        best = min(SLOPES, key=empirical)
        names = {"R_n": empirical, r"\hat\theta": best, "X": x[0], "Y": y[0]}
        worlds.append((p.prod(), names))
    return worlds


LOSS = {r"\ell": squared_error, "f": line, "R": risk}


@pytest.mark.proves("eq-erm-risk", by="independent")
def test_the_risk_is_the_mean_loss_on_a_new_pair(displayed):
    worlds = [(p, {"X": x, "Y": y}) for p, x, y in PAIRS]
    for theta in (0.8, -1.3):
        assert displayed("eq-erm-risk").holds(LOSS | {r"\theta": theta}, worlds)


@pytest.mark.proves("eq-erm-empirical", by="independent")
def test_the_empirical_risk_is_the_error_that_scikit_learn_reports(displayed, rng):
    for n in (5, 7):
        X, Y, theta = rng.normal(size=n), rng.normal(size=n), rng.normal()
        names = {"n": n, "X": one_based(X), "Y": one_based(Y), r"\theta": theta}
        names |= {"R_n": lambda theta, X=X, Y=Y: mean_squared_error(Y, line(X, theta))}
        assert displayed("eq-erm-empirical").holds(LOSS | names)


@pytest.mark.proves("eq-erm-estimator", by="independent")
def test_the_estimate_of_scikit_learn_minimizes_the_empirical_risk(displayed, rng):
    x, y = rng.normal(size=(2, 20))
    (slope,) = LinearRegression(fit_intercept=False).fit(x[:, None], y - 0.3).coef_
    family = tuple(slope + np.array([-0.5, -0.01, 0.0, 0.02, 0.7]))
    names = {"R_n": lambda theta: np.mean((y - line(x, theta)) ** 2), r"\theta": family}
    assert displayed("eq-erm-estimator").holds(names | {r"\hat\theta": slope})


@pytest.mark.proves("eq-erm-likelihood", by="independent")
def test_the_most_probable_slope_has_the_smallest_mean_negative_logarithm(displayed, rng):
    for n in (3, 4, 6):
        X = rng.normal(size=n)
        Y = line(X, 0.9) + rng.normal(size=n)
        names = {
            "p": lambda y, x, theta: (1 + (y - line(x, theta)) ** 2) ** -1.5,
            r"\theta": SLOPES,
        }
        names |= {"X": one_based(X), "Y": one_based(Y), "n": n}
        assert displayed("eq-erm-likelihood").holds(names)


@pytest.mark.proves("eq-erm-normal", by="independent")
def test_the_log_density_of_scipy_is_a_squared_error_and_a_constant(displayed):
    for y, f, sigma in [(1.3, 0.4, 0.7), (-2.0, 0.9, 1.8)]:
        names = {"p": stats.norm.pdf(y, f, sigma), "y": y, "f": f, r"\sigma": sigma}
        assert displayed("eq-erm-normal").holds(names)


@pytest.mark.proves("eq-erm-bernoulli", "eq-erm-cross-entropy", by="independent")
def test_the_cross_entropy_is_what_scipy_and_scikit_learn_say(displayed):
    def loss(y, p):
        return log_loss([y], [p], labels=[0, 1])

    for y, p in [(0, 0.3), (1, 0.2), (1, 0.65)]:
        names = {"y": y, "p": p}
        assert displayed("eq-erm-bernoulli").holds(names)
        assert displayed("eq-erm-cross-entropy").holds(names | {r"\ell": loss})
        assert stats.bernoulli.pmf(y, p) == pytest.approx(p**y * (1 - p) ** (1 - y))


@pytest.mark.proves("eq-erm-squared", "eq-erm-absolute", "eq-erm-pinball", by="independent")
def test_the_losses_are_those_of_the_package_and_of_scikit_learn(displayed):
    for y, f, tau in [(2.5, 0.7, 0.8), (-1.2, 1.1, 0.8), (0.4, 2.9, 0.35), (3.1, -0.6, 0.35)]:
        names = {"y": y, "f": f, r"\tau": tau}
        assert displayed("eq-erm-squared").holds(names | {r"\ell": squared_error})
        absolute = {r"\ell": lambda y, f: constants.absolute(f, y)}
        assert displayed("eq-erm-absolute").holds(names | absolute)
        pinball = {r"\ell_\tau": lambda y, f, tau=tau: mean_pinball_loss([y], [f], alpha=tau)}
        assert displayed("eq-erm-pinball").holds(names | pinball)


@pytest.mark.proves("eq-erm-demand", by="independent")
def test_the_quantiles_of_demand_are_those_of_a_normal_logarithm(displayed):
    truth = datasets.Lognormal(intercept=1.4, slope=-0.8, log_sd=0.6)
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)
    worlds = [(p, {"u": u}) for p, u in zip(weights / weights.sum(), nodes, strict=True)]
    for x, u in [(0.7, 1.9), (-1.6, -0.4)]:
        names = {"Y": truth.quantile(x, stats.norm.cdf(u)), "a": 1.4, "b": -0.8, "s": 0.6}
        assert displayed("eq-erm-demand").holds(names | {"x": x, "u": u}, worlds)


@pytest.mark.proves("eq-erm-decomposition", by="independent")
def test_the_risk_is_the_noise_and_the_squared_distance(displayed, rng):
    for sigma in (0.3, 0.8):
        X, p = rng.uniform(-1, 1, size=4), rng.dirichlet(np.ones(4))
        fit = np.polynomial.Polynomial(rng.normal(size=3))
        outcomes = datasets.s_curve(X) + sigma * np.array([[1.0], [-1.0]])
        names = {"R": p @ ((outcomes - fit(X)) ** 2).mean(0), r"\sigma": sigma}
        worlds = [(share, {"X": x}) for share, x in zip(p, X, strict=True)]
        curves = {r"\hat f": fit, "f^*": lambda x: datasets.s_curve(np.array([x]))}
        assert displayed("eq-erm-decomposition").holds(names | curves, worlds)


@pytest.mark.proves("eq-erm-unbiased", by="independent")
def test_the_empirical_risk_of_a_fixed_model_has_the_risk_as_its_mean(displayed):
    for n, theta in [(3, 0.8), (2, -1.3)]:
        names = LOSS | {"n": n, r"\theta": theta}
        assert displayed("eq-erm-unbiased").holds(names, samples_of(n))


@pytest.mark.proves("eq-erm-optimism", by="worst case")
def test_the_risk_lies_between_the_error_that_is_seen_and_the_one_that_is_paid(displayed):
    assert displayed("eq-erm-optimism").holds(LOSS | {r"\theta": SLOPES}, samples_of(3))
    alone = [(p, names | {r"\hat\theta": 0.8}) for p, names in samples_of(3)]
    assert displayed("eq-erm-optimism").holds(LOSS | {r"\theta": (0.8,)}, alone, tight=True)


@pytest.mark.proves("eq-erm-optimism-linear", by="independent")
def test_the_optimism_is_exact_over_all_errors(displayed, rng):
    n, p, sigma = 4, 3, 0.7
    X, means = rng.normal(size=(n, p)), rng.normal(size=(n, 1))
    errors = sigma * np.sqrt(n) * np.vstack([np.eye(n), -np.eye(n)])[:, :, None]  # uncorrelated
    worlds = []
    for u, new in itertools.product(errors, repeat=2):
        fit = X @ np.linalg.lstsq(X, means + u)[0]
        worlds.append((1 / 64, {"y": means + u, "y'": means + new, r"\hat y": fit}))
    names = {"n": n, "p": p, r"\sigma": sigma}
    assert displayed("eq-erm-optimism-linear").holds(names, worlds)


@pytest.mark.proves("eq-erm-critical-ratio", by="truth")
def test_ordering_a_unit_more_pays_up_to_the_critical_ratio(displayed):
    for price, cost in [(5.0, 1.0), (3.0, 1.8)]:
        # Demand is uniform from 0 to 1: an order is the probability that demand is below it.
        def loss(order, price=price, cost=cost):  # what is sold is the smaller of the two
            return cost * order - price * integrate.quad(min, 0, 1, (order,), points=[order])[0]

        tau = optimize.minimize_scalar(loss, bounds=(0, 1), options={"xatol": 1e-10}).x
        names = {r"\tau": tau, r"\text{price}": price, r"\text{cost}": cost}
        assert displayed("eq-erm-critical-ratio").holds(names, rtol=1e-6)
        assert newsvendor.Product(price, cost).level == pytest.approx(tau)


@pytest.mark.proves("eq-erm-linear-program", by="independent")
def test_at_the_solution_the_program_is_worth_the_smallest_empirical_risk(displayed, rng):
    for n, tau in [(9, 0.8), (6, 0.3)]:
        X, Y = np.column_stack([np.ones(n), rng.normal(size=n)]), rng.normal(size=n)
        fit = QuantileRegressor(quantile=tau, alpha=0.0, fit_intercept=False).fit(X, Y)
        gap = Y - X @ fit.coef_
        smallest = mean_pinball_loss(Y, X @ fit.coef_, alpha=tau)
        names = {"Y": one_based(Y), "x": one_based(X[:, :, None]), r"\theta": fit.coef_[:, None]}
        names |= {"s": one_based(np.maximum(gap, 0)), "o": one_based(np.maximum(-gap, 0))}
        names |= {r"\min_\theta R_n(\theta)": smallest, r"\tau": tau, "n": n}
        solved = {r"\min_{\theta, \, s \ge 0, \, o \ge 0}": 1.0}  # the sum itself is the minimum
        for i in range(1, n + 1):
            assert displayed("eq-erm-linear-program").holds(names | solved | {"i": i})


@pytest.mark.proves("eq-erm-best-of-two", by="independent")
def test_the_better_of_two_errors_flatters_by_quadrature(displayed):
    z, weights = np.polynomial.legendre.leggauss(40)
    z, weights = 4 * (z + 1), 4 * weights * stats.norm.pdf(4 * (z + 1))  # half of a normal
    for risk_of_both, sigma, n in [(1.3, 0.4, 5), (0.7, 2.1, 30)]:
        sd = sigma / np.sqrt(2 * n)  # of the sum and the difference, which are independent, halved
        worlds = [
            (p / 2, {"E_1": risk_of_both + sd * (s + d), "E_2": risk_of_both + sd * (s - d)})
            for p, z_now in zip(weights, z, strict=True)
            for s, d in itertools.product((-1, 1), (z_now, -z_now))
        ]
        names = {"R": risk_of_both, r"\sigma": sigma, "n": n}
        assert displayed("eq-erm-best-of-two").holds(names, worlds)


@pytest.mark.proves("eq-erm-flipped", by="independent")
def test_flipped_labels_have_the_probability_of_all_four_cases(displayed):
    for chance, q in [(0.8, 0.15), (0.35, 0.4)]:
        cases = itertools.product([(1, chance), (0, 1 - chance)], [(1, q), (0, 1 - q)])
        flipped = sum(share * turn for (y, share), (f, turn) in cases if y != f)
        names = {"x": 0.7, "q": q, "p": {0.7: chance}.get, r"\tilde p": {0.7: flipped}.get}
        assert displayed("eq-erm-flipped").holds(names)
