"""The equations of the chapter book/stochastic_gradients.ipynb; its theorems stand on the bench."""

from itertools import combinations, product

import numpy as np
import pytest
import sympy as sp
import torch

from dlcourse.chapters.stochastic_gradients.noise import gradient_noise
from dlcourse.optim import SGD


@pytest.mark.proves(
    "lem-sgd-unbiased",
    "eq-sgd-unbiased",
    "eq-sgd-variance",
    "eq-sgd-variance-without",
    by="independent",
)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_mean_and_variance_over_every_mini_batch_there_is(rng, size):
    per_row = rng.normal(size=(5, 2))
    ways = {
        True: np.array(list(product(range(5), repeat=size))),
        False: np.array(list(combinations(range(5), size))),
    }
    for with_replacement, batches in ways.items():
        gradients = per_row[batches].mean(1)
        assert np.allclose(gradients.mean(0), per_row.mean(0))
        noise = ((gradients - per_row.mean(0)) ** 2).sum(1).mean()
        assert np.isclose(noise, gradient_noise(per_row, size, with_replacement), atol=1e-15)


@pytest.mark.proves("eq-sgd-step", by="independent")
def test_the_step_is_that_of_torch(rng):
    x, gradients = rng.normal(size=4), rng.normal(size=(30, 4))
    theirs = torch.from_numpy(x.copy()).requires_grad_()
    optimizer, sgd = SGD(0.1), torch.optim.SGD([theirs], lr=0.1)
    state = optimizer.init(x)
    for grad in gradients:
        x, state = optimizer.step(x, grad, state)
        theirs.grad = torch.from_numpy(grad)
        sgd.step()
    assert np.allclose(x, theirs.detach().numpy(), rtol=1e-13)


@pytest.mark.proves("eq-sgd-noise", by="truth")
def test_a_mini_batch_meets_the_hypothesis_with_the_spread_of_its_rows(rng):
    """On rows that differ by offsets only, the noise is the same at every point."""
    offsets = rng.normal(size=(50, 3))  # f_i(x) = |x - offset_i|^2 / 2
    for x in rng.normal(size=(4, 3)) * 10:
        per_row = x - offsets
        draws = per_row[rng.integers(50, size=(20_000, 5))].mean(1) - per_row.mean(0)
        sigma_squared = ((offsets - offsets.mean(0)) ** 2).sum(1).mean() / 5
        assert np.allclose(draws.mean(0), 0, atol=5 * draws.std() / np.sqrt(20_000))
        assert np.isclose((draws**2).sum(1).mean(), sigma_squared, rtol=0.05)


@pytest.mark.proves("eq-sgd-accumulation", by="independent")
def test_weighted_batch_gradients_add_up_to_the_full_gradient(rng):
    X, y = torch.randn(10, 3, dtype=torch.float64), torch.randn(10, dtype=torch.float64)
    theta = torch.randn(3, dtype=torch.float64, requires_grad=True)

    def loss(rows):
        return ((X[rows] @ theta - y[rows]) ** 2).mean()

    (full,) = torch.autograd.grad(loss(slice(None)), theta)
    batches = [range(0, 4), range(4, 8), range(8, 10)]
    each = [torch.autograd.grad(loss(list(rows)), theta)[0] for rows in batches]
    weighted = sum(len(rows) / 10 * grad for rows, grad in zip(batches, each, strict=True))
    assert torch.allclose(weighted, full, rtol=1e-12)
    assert not torch.allclose(sum(each) / 3, full, rtol=1e-3)


@pytest.mark.proves("eq-sgd-missed", by="symbolic")
def test_an_epoch_with_replacement_misses_one_row_in_e():
    n = sp.symbols("n", positive=True)
    assert sp.limit((1 - 1 / n) ** n, n, sp.oo) == sp.exp(-1)
    missed = [set(range(3)) - set(draws) for draws in product(range(3), repeat=3)]
    assert sp.Rational(sum(map(len, missed)), 3 * len(missed)) == (1 - sp.Rational(1, 3)) ** 3
