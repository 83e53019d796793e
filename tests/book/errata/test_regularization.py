"""Slides 21 and 30 to 32: parameters and data, selection, noise and dropout."""

from itertools import product

import numpy as np
import pytest
import torch

from dlcourse import autograd as ag
from dlcourse import nn
from dlcourse.linear import selection


@pytest.fixture(scope="module")
def median_errors():
    """Median test error over 25 draws, by the number of random relu features; n is 100."""
    errors = {n_features: [] for n_features in (50, 100, 200, 1_000, 3_000)}
    for seed in range(25):
        rng = np.random.default_rng(seed)
        beta = rng.normal(size=20) / np.sqrt(20)
        X, X_new, W = (rng.normal(size=(n, 20)) for n in (100, 1_000, 3_000))
        y = X @ beta + 0.3 * rng.normal(size=100)
        for n_features in errors:
            phi, phi_new = (np.maximum(x @ W[:n_features].T, 0) for x in (X, X_new))
            theta = np.linalg.lstsq(phi, y, rcond=None)[0]  # the shortest of all that fit
            errors[n_features].append(np.mean((phi_new @ theta - X_new @ beta) ** 2))
    return {n_features: np.median(found) for n_features, found in errors.items()}


@pytest.mark.erratum("E29")
def test_thirty_times_the_features_need_no_more_data_than_as_many_as_observations(
    median_errors, printed
):
    printed.agrees(even=median_errors[100], thirty=median_errors[3_000])
    assert median_errors[3_000] < median_errors[100] / 50


@pytest.mark.erratum("E35")
def test_the_error_peaks_at_as_many_features_as_observations_and_falls_again(
    median_errors, printed
):
    assert max(median_errors, key=median_errors.get) == 100
    assert median_errors[50] > median_errors[200] > median_errors[1_000] > median_errors[3_000]
    printed.agrees(half=median_errors[50], ten=median_errors[1_000])


@pytest.mark.erratum("E37")
def test_latent_attention_saves_memory_and_still_uses_every_feature(printed):
    heads, head_size, latent, rope = 128, 128, 512, 64  # DeepSeek-V3, a layer
    full, compressed = 2 * heads * head_size, latent + rope
    printed.agrees(full=full, compressed=compressed, ratio=full / compressed)
    torch.manual_seed(0)
    x = torch.randn(10, 32, dtype=torch.float64, requires_grad=True)
    down, up = torch.randn(32, 4, dtype=torch.float64), torch.randn(4, 32, dtype=torch.float64)
    cached = x @ down  # what is kept for the tokens to come, an eighth of the keys
    keys = cached @ up
    torch.testing.assert_close(keys, x @ (down @ up))
    keys.square().sum().backward()
    assert (x.grad != 0).all()  # no feature of the input is thrown away or shrunk


@pytest.mark.erratum("E38")
def test_cross_validation_outside_the_selection_praises_pure_noise(rng, printed):
    X, y = rng.normal(size=(50, 200)), rng.normal(size=50)

    def choose(X, y):
        return list(selection.forward_stepwise(X, y, size=5).features[5])

    def cross_validated(columns):
        """Mean squared error over five folds; `columns(X, y)` chooses on what it is given."""
        fold, squares = np.arange(50) % 5, []
        for k in range(5):
            train, test = fold != k, fold == k
            chosen = columns(X[train], y[train])
            design = np.column_stack([np.ones(50), X[:, chosen]])
            beta = np.linalg.lstsq(design[train], y[train], rcond=None)[0]
            squares.append(np.mean((design[test] @ beta - y[test]) ** 2))
        return np.mean(squares)

    seen_already = choose(X, y)
    around, inside = cross_validated(lambda *_: seen_already), cross_validated(choose)
    printed.agrees(outside=around / y.var(), inside=inside / y.var())
    assert around < y.var() < inside


@pytest.mark.erratum("E40")
def test_least_squares_on_noisy_features_is_ridge(rng, printed):
    X, sd = rng.normal(size=(200, 3)), 0.3
    y = X @ [0.7, 1.4, 2.1] + rng.normal(size=200)
    gram, moments = np.zeros((3, 3)), np.zeros(3)
    for _ in range(4_000):
        noisy = X + sd * rng.normal(size=X.shape)
        gram += noisy.T @ noisy / 4_000
        moments += noisy.T @ y / 4_000
    by_noise = np.linalg.solve(gram, moments)
    ridge = np.linalg.solve(X.T @ X + 200 * sd**2 * np.eye(3), X.T @ y)
    np.testing.assert_allclose(by_noise, ridge, atol=5e-3)
    assert np.abs(np.linalg.lstsq(X, y, rcond=None)[0] - ridge).min() > 0.03
    printed.agrees(noisy=by_noise[2], ridge=ridge[2], within=5e-3)


@pytest.mark.erratum("E40")
def test_for_other_models_noise_is_the_penalty_of_tikhonov_up_to_the_fourth_power():
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)  # exact averages over the noise
    x, y, slope, curvature = 0.4, 1.0, np.cos(0.4), -np.sin(0.4)  # the model is a sine

    def remainder(sd):
        noisy = weights @ (np.sin(x + sd * nodes) - y) ** 2 / weights.sum()
        gap = np.sin(x) - y
        return noisy - (gap**2 + sd**2 * (slope**2 + gap * curvature))

    assert remainder(0.02) / remainder(0.01) == pytest.approx(16, rel=0.01)


@pytest.mark.erratum("E41")
def test_the_p_of_the_slide_is_the_probability_to_drop_and_no_scaling_is_left_for_later(printed):
    h, p, n = 2.0, 0.3, 1_000_000
    ours = nn.Dropout(p, np.random.default_rng(0))(ag.Tensor(np.full(n, h)), training=True).data
    torch.manual_seed(0)
    theirs = torch.nn.Dropout(p)(torch.full((n,), h, dtype=torch.float64)).numpy()
    for dropped in (ours, theirs):
        assert np.mean(dropped == 0) == pytest.approx(p, abs=2e-3)  # in the paper, 1 - p
        assert dropped.mean() == pytest.approx(h, abs=5e-3)
        assert dropped.var() == pytest.approx(h**2 * p / (1 - p), abs=5e-3)
    printed.agrees(mean=ours.mean(), variance=ours.var(), within=5e-3)
    printed.agrees(theory=h**2 * p / (1 - p))
    as_in_the_paper = ours * (1 - p)  # dropped and not scaled
    assert as_in_the_paper.mean() == pytest.approx((1 - p) * h, abs=5e-3)  # to be scaled at test


@pytest.mark.erratum("E41")
def test_dropout_on_the_features_of_a_linear_model_is_ridge(rng):
    X, y, beta, p = rng.normal(size=(30, 6)), rng.normal(size=30), rng.normal(size=6), 0.3
    total = 0.0
    for mask in product([0, 1], repeat=6):  # every mask, with its probability
        weight = np.prod(np.where(mask, 1 - p, p))
        total += weight * np.mean((y - X * mask / (1 - p) @ beta) ** 2)
    penalty = p / (1 - p) * np.sum(np.mean(X**2, axis=0) * beta**2)
    assert total == pytest.approx(np.mean((y - X @ beta) ** 2) + penalty, rel=1e-12)
