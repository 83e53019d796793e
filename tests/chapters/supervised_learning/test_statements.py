"""The equations and theorems of the chapter book/supervised_learning.ipynb."""

import numpy as np
import pytest
import sympy as sp
import torch
from scipy import optimize, stats
from torch.nn import functional as F

from dlcourse.chapters.supervised_learning import constants, optimism


@pytest.mark.proves("eq-erm-risk", "eq-erm-unbiased", "lem-erm-unbiased", by="independent")
def test_the_empirical_risk_of_a_fixed_model_is_unbiased_with_the_stated_variance(rng):
    values = np.array([0.0, 1.0, 3.0])
    p = np.array([0.5, 0.3, 0.2])
    loss = constants.squared(1.2, values)
    risk, variance = p @ loss, p @ loss**2 - (p @ loss) ** 2
    samples = np.stack(np.meshgrid(*[range(3)] * 4, indexing="ij"), -1).reshape(-1, 4)
    weights = p[samples].prod(1)  # of every sample of four that there is
    empirical = loss[samples].mean(1)
    assert np.isclose(weights @ empirical, risk)
    assert np.isclose(weights @ empirical**2 - risk**2, variance / 4)


@pytest.mark.proves(
    "eq-erm-empirical", "eq-erm-estimator", "eq-erm-optimism", "thm-erm-optimism", by="instances"
)
@pytest.mark.parametrize("loss", [constants.squared, constants.absolute])
def test_the_training_error_is_optimistic_over_all_samples(loss):
    values, p = np.array([0.0, 1.0, 3.0]), np.array([0.5, 0.3, 0.2])
    family = np.linspace(0, 3, 61)
    by_outcome = loss(family[:, None], values)  # (family, outcomes)
    risk = by_outcome @ p
    samples = np.stack(np.meshgrid(*[range(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    weights = p[samples].prod(1)
    empirical = by_outcome[:, samples].mean(-1)  # (family, samples)
    chosen = empirical.argmin(0)
    seen, paid = weights @ empirical.min(0), weights @ risk[chosen]
    assert seen < risk.min() < paid


@pytest.mark.proves("eq-erm-optimism-linear", "thm-erm-optimism-linear", by="independent")
def test_the_optimism_of_least_squares_is_two_sigma_squared_p_over_n(rng):
    n, p, sigma = 12, 4, 0.7
    X, means = rng.normal(size=(n, p)), rng.normal(size=n)  # the means lie off the plane
    hat = X @ np.linalg.pinv(X)
    y, new = means + sigma * rng.normal(size=(2, 200_000, n))
    gap = ((new - y @ hat) ** 2).mean(1) - ((y - y @ hat) ** 2).mean(1)
    expected = optimism.optimism(sigma**2, p, n)
    assert abs(gap.mean() - expected) < 4 * gap.std() / np.sqrt(len(gap))
    assert gap.std() / np.sqrt(len(gap)) < expected / 100


@pytest.mark.proves("eq-erm-likelihood", by="independent")
def test_the_most_probable_parameters_have_the_smallest_mean_negative_log(rng):
    y = rng.normal(1.5, size=6)
    grid = np.linspace(-1, 4, 501)
    densities = stats.norm.pdf(y, grid[:, None])
    assert densities.prod(1).argmax() == (-np.log(densities)).mean(1).argmin()


@pytest.mark.proves("eq-erm-normal", by="symbolic")
def test_the_normal_log_density_is_a_squared_error_plus_a_constant():
    y, f, sigma = sp.symbols("y f sigma", positive=True)
    density = sp.exp(-((y - f) ** 2) / (2 * sigma**2)) / (sigma * sp.sqrt(2 * sp.pi))
    assert sp.simplify(sp.integrate(density.subs(f, 0).subs(sigma, 2), (y, 0, sp.oo)) * 2) == 1
    printed = (y - f) ** 2 / (2 * sigma**2) + sp.log(sigma * sp.sqrt(2 * sp.pi))
    assert sp.simplify(sp.expand_log(-sp.log(density), force=True) - sp.expand_log(printed)) == 0


@pytest.mark.proves("eq-erm-bernoulli", "eq-erm-cross-entropy", by="independent")
def test_cross_entropy_is_the_negative_log_probability_of_the_label(rng):
    score = rng.normal(size=50) * 3
    y = rng.integers(0, 2, 50) * 1.0
    p = 1 / (1 + np.exp(-score))
    assert np.allclose(constants.cross_entropy(score, y), -stats.bernoulli.logpmf(y, p))
    theirs = F.binary_cross_entropy_with_logits(torch.tensor(score), torch.tensor(y))
    assert np.isclose(constants.cross_entropy(score, y).mean(), theirs.item(), rtol=1e-14)


@pytest.mark.proves("eq-erm-squared", "eq-erm-absolute", "eq-erm-pinball", by="independent")
def test_losses_equal_those_of_torch_and_scikit_learn(rng):
    from sklearn.metrics import mean_pinball_loss

    f, y = rng.normal(size=(2, 40))
    tensors = torch.tensor(f), torch.tensor(y)
    assert np.isclose(constants.squared(f, y).mean(), F.mse_loss(*tensors).item(), rtol=1e-14)
    assert np.isclose(constants.absolute(f, y).mean(), F.l1_loss(*tensors).item(), rtol=1e-14)
    theirs = mean_pinball_loss(y, f, alpha=0.3)
    assert np.isclose(constants.pinball(f, y, 0.3).mean(), theirs, rtol=1e-14)


@pytest.mark.proves("thm-erm-targets", by="independent")
@pytest.mark.parametrize("distribution", [stats.gamma(2.0), stats.lognorm(0.7), stats.norm(1, 2)])
def test_the_best_prediction_is_mean_median_quantile_or_probability(distribution):
    """Means by quadrature over quantiles, minima by SciPy: neither knows the theorem."""
    levels, weights = np.polynomial.legendre.leggauss(2_000)
    y, weights = distribution.ppf((levels + 1) / 2), weights / 2
    for loss, truth in (
        (constants.squared, distribution.mean()),
        (constants.absolute, distribution.median()),
        (lambda f, y: constants.pinball(f, y, 0.8), distribution.ppf(0.8)),
    ):
        found = optimize.minimize_scalar(lambda f, loss=loss: loss(f, y) @ weights, (0.1, 3.0)).x
        assert np.isclose(found, truth, rtol=2e-3)
    p = sp.symbols("p", positive=True)
    share = sp.Rational(3, 10)
    risk = -share * sp.log(p) - (1 - share) * sp.log(1 - p)
    assert sp.solve(sp.diff(risk, p), p) == [share]
    assert sp.diff(risk, p, 2).subs(p, share) > 0


@pytest.mark.proves("eq-erm-best-of-two", by="symbolic")
def test_the_better_of_two_equal_models_flatters():
    x = sp.symbols("x", real=True)
    risk, sigma, n = sp.symbols("R sigma n", positive=True)
    sd = sigma / sp.sqrt(n)
    # The smaller of two independent standard normal numbers has the density 2 phi(x) Phi(-x).
    density = 2 * sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi) * sp.erfc(x / sp.sqrt(2)) / 2
    mean = sp.integrate(x * density, (x, -sp.oo, sp.oo))
    assert sp.simplify(risk + sd * mean - (risk - sigma / sp.sqrt(sp.pi * n))) == 0


@pytest.mark.proves("eq-erm-flipped", by="truth")
def test_flipped_labels_pull_the_probability_toward_one_half(rng):
    p, q = 0.8, 0.15
    y = rng.random(400_000) < p
    flipped = y ^ (rng.random(400_000) < q)
    best = constants.best_constant(constants.cross_entropy, flipped * 1.0, -5.0, 5.0)
    assert np.isclose(1 / (1 + np.exp(-best)), q + (1 - 2 * q) * p, atol=0.003)


def test_the_best_of_many_models_flatters_without_bound_and_below_the_root_of_a_logarithm():
    x, weights = np.polynomial.legendre.leggauss(400)
    x, weights = 12 * x, 12 * weights
    flattery = {}
    for m in (1, 2, 10, 1_000, 10**6, 10**9):
        smallest = m * stats.norm.pdf(x) * np.exp((m - 1) * stats.norm.logsf(x))  # its density
        flattery[m] = -(weights * smallest) @ x
    bounds = {m: np.sqrt(2 * np.log(m)) for m in flattery}
    assert flattery[1] == pytest.approx(0.0, abs=1e-12)
    assert flattery[2] == pytest.approx(1 / np.sqrt(np.pi), rel=1e-9)
    assert list(flattery.values()) == sorted(flattery.values())
    shares = [flattery[m] / bounds[m] for m in flattery if m > 1]
    assert shares == sorted(shares)
    assert shares[1] < 0.75  # of ten models: the bound is far
    assert 0.9 < shares[-1] < 1
