"""Slides 17 to 28: what networks can represent, energies, regions, first weights."""

from itertools import product

import numpy as np
import pytest

from dlcourse import nn
from dlcourse.linear import logistic
from tests.book.errata.deep_networks import CHANCE, held_out_error, train_error


def interpolant(f, width):
    """A network with one hidden layer of relu units that meets f at width + 1 points of [0, 1]."""
    knots = np.linspace(0, 1, width + 1)
    slopes = np.diff(f(knots)) / np.diff(knots)
    network = nn.MLP((1, width, 1), np.random.default_rng(0))
    weights = np.ones(width), -knots[:-1], np.diff(slopes, prepend=0.0), f(knots[:1])
    network.parameters.flat[:] = np.concatenate(weights)  # into the units, and out of them
    return lambda x: network(np.asarray(x, float).reshape(-1, 1)).data.ravel()


def wave(x):
    return np.sin(2 * np.pi * x)


@pytest.mark.erratum("E25")
@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_a_continuous_function_on_a_compact_set_is_approximated_at_a_known_rate(width, printed):
    x = np.linspace(0, 1, 50_001)
    distance = np.abs(interpolant(wave, width)(x) - wave(x)).max()
    bound = (2 * np.pi) ** 2 / (8 * width**2)  # h^2 max|f''| / 8
    assert 0.9 * bound < distance <= bound
    printed.agrees(**{f"width_{width}": distance})


@pytest.mark.erratum("E25")
@pytest.mark.parametrize("width", [10, 100, 1_000])
def test_no_width_brings_a_continuous_network_nearer_than_a_half_to_a_step(width):
    def step(x):
        return (x > 0.55).astype(float)

    network, sides = interpolant(step, width), np.array([0.55, 0.55 + 1e-9])
    assert np.abs(network(sides) - step(sides)).max() >= 0.5 - 1e-5
    assert np.abs(network([0.1, 0.9]) - [0, 1]).max() < 1e-9  # elsewhere it fits


@pytest.mark.erratum("E25")
def test_on_the_whole_line_or_with_a_polynomial_activation_it_fails(rng):
    far = np.linspace(10.0, 20.0, 1_001)
    assert np.abs(interpolant(wave, 64)(far) - wave(far)).max() > 1
    x = np.linspace(0, 1, 1_001)
    squares = np.square(np.outer(x, rng.normal(size=200)) + rng.normal(size=200))  # 200 units
    fit = squares @ np.linalg.lstsq(squares, wave(x), rcond=1e-10)[0]
    assert np.linalg.matrix_rank(squares, rtol=1e-10) == 3  # whatever the width: 1, x, x^2
    assert np.abs(fit - wave(x)).max() > 0.3


@pytest.mark.erratum("E26")
def test_states_of_0_and_1_give_the_same_energies_once_the_thresholds_are_moved(rng):
    W = rng.normal(size=(6, 6))
    W, theta = np.triu(W, 1) + np.triu(W, 1).T, rng.normal(size=6)

    def energies(states, W, theta):
        return -np.einsum("si,ij,sj->s", states, W, states) / 2 - states @ theta

    signs = np.array(list(product([-1.0, 1.0], repeat=6)))
    bits = (1 + signs) / 2
    moved = energies(signs, W / 4, theta / 2 + W.sum(1) / 4) - energies(bits, W, theta)
    np.testing.assert_allclose(moved, moved[0], atol=1e-12)  # a constant changes no probability
    unmoved = energies(signs, W / 4, theta / 2) - energies(bits, W, theta)
    assert np.ptp(unmoved) > 1


def above(x, thresholds):
    """Hidden units that switch from 0 to 1 where the first coordinate passes a threshold."""
    return (x[:, :1] > thresholds).astype(float)


@pytest.mark.erratum("E28")
def test_one_hidden_layer_of_four_threshold_units_makes_a_region_in_two_pieces():
    grid = np.linspace(-3, 3, 601)[:, None]
    units = above(grid, np.array([-2.0, -1.0, 1.0, 2.0]))
    inside = grid[units @ [1.0, -1.0, 1.0, -1.0] > 0.5, 0]
    np.testing.assert_allclose(inside[[0, -1]], [-1.99, 2.0], atol=1e-9)
    left, right = inside[inside < 0], inside[inside > 0]
    assert left.max() <= -1.0 + 1e-9
    assert right.min() > 1.0  # the midpoint of the pieces, 0, is not inside: not convex


@pytest.mark.erratum("E28")
def test_an_output_that_takes_the_logical_and_makes_convex_regions(rng):
    for _ in range(20):
        W, offsets = rng.normal(size=(2, 5)), rng.uniform(0, 1, size=5)
        points = rng.uniform(-2, 2, size=(400, 2))

        def is_inside(x, W=W, offsets=offsets):
            return (x @ W + offsets > 0).sum(1) > 4.5  # all five

        inside = points[is_inside(points)]
        first, second = rng.integers(len(inside), size=(2, 200))
        assert is_inside((inside[first] + inside[second]) / 2).all()


@pytest.mark.erratum("E31")
def test_without_a_constant_feature_the_boundary_passes_through_the_origin(rng, printed):
    X = rng.uniform(-1, 1, size=(2_000, 2))
    labels = ((X**2).sum(1) < 0.36).astype(float)  # inside a circle around the origin

    def as_printed(X):
        return np.column_stack([X, X**2, X[:, 0] * X[:, 1]])

    def completed(X):
        return np.column_stack([np.ones(len(X)), as_printed(X)])

    def accuracy(phi):
        theta = logistic.by_newton(phi(X), labels, 1e-8).coefficients
        return np.mean((phi(X) @ theta > 0) == labels)

    assert not as_printed(np.zeros((1, 2))).any()  # the score there is 0 whatever theta is
    majority = max(labels.mean(), 1 - labels.mean())
    assert accuracy(as_printed) == pytest.approx(majority, abs=0.01)
    assert accuracy(completed) > 0.998
    printed.agrees(without=accuracy(as_printed), constant=accuracy(completed), within=2e-3)


@pytest.mark.erratum("E33")
def test_batch_normalization_trains_at_a_step_that_is_too_large_without_it(printed):
    plain, normalized = held_out_error(0.5, False), held_out_error(0.5, True)
    assert plain > 0.7
    assert normalized < 0.1
    printed.agrees(plain=plain, within=0.15)
    printed.agrees(normalized=normalized, within=0.03)
    assert held_out_error(0.1, False) < 0.1  # a smaller step needs no normalization


@pytest.mark.erratum("E34")
def test_at_22_layers_xavier_is_behind_and_at_30_it_does_not_start(printed):
    he_22, xavier_22 = train_error(22, nn.he), train_error(22, nn.xavier)
    he_30, xavier_30 = train_error(30, nn.he), train_error(30, nn.xavier)
    assert he_22 < 0.1 < xavier_22 < CHANCE - 0.05  # both move, He's sooner
    assert he_30 < 0.1
    assert xavier_30 > CHANCE - 0.02
    printed.agrees(he_22=he_22, he_30=he_30, within=0.05)
    printed.agrees(xavier_22=xavier_22, xavier_30=xavier_30, within=0.05)
