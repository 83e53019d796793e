"""Initializers: the variance that each states, and what that does to signals."""

import numpy as np
import pytest

from dlcourse import nn

N_IN, N_OUT = 300, 200
VARIANCE = {
    "zero": 0.0,
    "normal": 0.01**2,
    "xavier": 2 / (N_IN + N_OUT),
    "he": 2 / N_IN,
    "orthogonal": 1 / max(N_IN, N_OUT),
}


@pytest.mark.parametrize("name", nn.INITIALIZERS)
def test_entries_have_mean_zero_and_the_stated_variance(name, rng):
    W = nn.INITIALIZERS[name](N_IN, N_OUT, rng)
    assert W.shape == (N_IN, N_OUT)
    variance = VARIANCE[name]
    assert abs(W.mean()) <= 4 * np.sqrt(variance / W.size)
    assert abs((W**2).mean() - variance) <= 4 * np.sqrt(2 / W.size) * variance


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_the_orthogonal_initializer_has_orthonormal_rows_or_columns(shape, rng):
    W = nn.orthogonal(*shape, rng)
    gram = W.T @ W if shape[0] >= shape[1] else W @ W.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-14)


def test_orthogonal_matrices_are_uniform_in_their_signs(rng):
    diagonals = np.array([np.diag(nn.orthogonal(2, 2, rng)) for _ in range(2_000)])
    shares = (diagonals > 0).mean(0)  # each on its own: one's excess may hide another's lack
    assert np.abs(shares - 0.5).max() < 4 * 0.5 / np.sqrt(len(diagonals))


def test_he_keeps_the_mean_square_through_relu_layers_and_xavier_through_linear_ones(rng):
    X = rng.normal(size=(500, N_IN))
    after_relu = np.maximum(X @ nn.he(N_IN, N_IN, rng), 0)
    assert abs((after_relu**2).mean() - 1) < 0.05
    assert abs(((X @ nn.xavier(N_IN, N_IN, rng)) ** 2).mean() - 1) < 0.05


def test_the_same_seed_gives_the_same_weights():
    for initializer in nn.INITIALIZERS.values():
        first, second = (initializer(3, 2, np.random.default_rng(5)) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_a_standard_deviation_must_be_positive():
    with pytest.raises(ValueError, match="`sd` must be a positive number"):
        nn.Normal(0.0)
