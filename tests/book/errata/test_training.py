"""Slides 9 to 11, and what is printed in the sources that slides 9 and 12 cite."""

import numpy as np
import pytest
import torch

from dlcourse import autograd as ag
from dlcourse import nn
from dlcourse.losses import LogisticLoss, SquaredError
from dlcourse.optim import SGD, GradientDescent, HeavyBall, minimize, newton_schulz

BOWL = (lambda x: ((x**2).sum(-1) / 2, x), np.ones(1))  # curvature 1, and where to start


def momentum_matrix(beta, step):
    """R, which moves (velocity, x) on a curvature lambda; `step` is alpha lambda."""
    return np.array([[beta, 1.0], [-step * beta, 1.0 - step]])


def spectral_radius(R):
    return np.abs(np.linalg.eigvals(R)).max()


@pytest.mark.erratum("E13")
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_momentum_widens_the_range_of_stable_steps_to_two_plus_two_beta(beta):
    limit = 2 + 2 * beta
    assert spectral_radius(momentum_matrix(beta, limit - 0.01)) < 1
    assert spectral_radius(momentum_matrix(beta, limit + 0.01)) > 1
    f, x0 = BOWL
    inside, outside = (
        minimize(f, x0, HeavyBall(step, beta), max_steps=3_000).value
        for step in (limit - 0.01, limit + 0.01)
    )
    assert inside < 1e-3 < 1e3 < outside


@pytest.mark.erratum("E15")
def test_the_sign_is_right_because_the_loss_is_the_negative_log_likelihood(rng):
    X, theta = rng.normal(size=(40, 3)), rng.normal(size=3)
    y = (rng.random(40) < 0.5).astype(float)
    scores = torch.tensor(X) @ (parameter := torch.tensor(theta, requires_grad=True))
    log_p = torch.distributions.Bernoulli(logits=scores).log_prob(torch.tensor(y))
    (-log_p.mean()).backward()
    value, gradient = LogisticLoss(X, y)(theta)
    np.testing.assert_allclose(parameter.grad.numpy(), gradient, atol=1e-14)
    with_the_sign, without = (LogisticLoss(X, y)(theta - 0.1 * s * gradient)[0] for s in (1, -1))
    assert with_the_sign < value < without


@pytest.mark.erratum("E15")
def test_mini_batch_gradients_are_unbiased(rng):
    X, y, theta = rng.normal(size=(40, 3)), rng.integers(2, size=40), rng.normal(size=3)
    batches = rng.permutation(40).reshape(5, 8)
    gradients = [LogisticLoss(X[rows], y[rows].astype(float))(theta)[1] for rows in batches]
    whole = LogisticLoss(X, y.astype(float))(theta)[1]
    np.testing.assert_allclose(np.mean(gradients, axis=0), whole, atol=1e-15)
    assert np.abs(gradients[0] - whole).max() > 0.01  # one alone is an estimate


@pytest.mark.erratum("E16")
@pytest.mark.parametrize(("n", "batch_size"), [(100, 10), (105, 10), (7, 32)])
def test_an_iteration_is_a_step_and_an_epoch_has_as_many_as_mini_batches(n, batch_size, rng):
    steps = []

    def learning_rate(k, x, grad):
        steps.append(k)
        return 0.01

    X = rng.normal(size=(n, 2))
    recipe = nn.Recipe(ag.mean_squared_error, SGD(learning_rate), 3, batch_size)
    nn.fit(nn.MLP((2, 1), rng), X, X[:, :1], recipe, rng)
    n_steps = 3 * -(-n // batch_size)  # epochs times mini-batches, rounded up
    assert len(steps) == n_steps == 3 * np.ceil(n / batch_size)


@pytest.mark.erratum("E17")
def test_accumulated_mini_batches_give_the_full_gradient(rng):
    X, y = rng.normal(size=(64, 3)), rng.normal(size=(64, 1))
    network = nn.MLP((3, 8, 1), rng)
    parameters = network.parameters

    def gradient_of(rows):
        parameters.take_gradient(ag.mean_squared_error(network(X[rows]), y[rows]))
        return parameters.grad.copy()

    accumulated = sum(gradient_of(rows) / 8 for rows in np.arange(64).reshape(8, 8))
    np.testing.assert_allclose(accumulated, gradient_of(np.arange(64)), atol=1e-14)


def mean_excess(sample, data, rng, n_runs=20, n_epochs=50):
    """How far SGD ends above the least loss on average; `sample(rng, n_runs, n)` makes an epoch."""
    X, y = data
    loss, optimizer = SquaredError(X, y), SGD(0.005)
    x = np.zeros((n_runs, X.shape[1]))
    state = optimizer.init(x)
    for _ in range(n_epochs):
        for rows in sample(rng, n_runs, len(y)).T:
            residual = (X[rows] * x).sum(-1, keepdims=True) - y[rows, None]
            x, state = optimizer.step(x, residual * X[rows], state)
    return loss(x)[0].mean() - loss(np.linalg.lstsq(X, y, rcond=None)[0])[0]


@pytest.mark.erratum("E18")
def test_shuffling_ends_nearer_the_minimum_than_drawing_with_replacement(rng, printed):
    X = rng.normal(size=(200, 5))
    data = X, X @ rng.normal(size=5) + rng.normal(size=200)
    shuffled = mean_excess(lambda rng, runs, n: rng.random((runs, n)).argsort(-1), data, rng)
    drawn = mean_excess(lambda rng, runs, n: rng.integers(n, size=(runs, n)), data, rng)
    printed.agrees(shuffled=shuffled, drawn=drawn)
    assert shuffled < drawn / 5


@pytest.mark.erratum("S1")
def test_complex_roots_have_modulus_root_beta_not_twice_that():
    beta, step = 0.81, 0.5
    assert (1 + beta - step) ** 2 < 4 * beta  # complex
    sizes = np.abs(np.linalg.eigvals(momentum_matrix(beta, step)))
    np.testing.assert_allclose(sizes, np.sqrt(beta))
    as_printed = np.sqrt((1 - step + beta) ** 2 + abs((1 + beta - step) ** 2 - 4 * beta))
    assert as_printed == pytest.approx(2 * np.sqrt(beta))  # the half of the roots is lost
    assert as_printed > 1  # which would diverge, while
    f, x0 = BOWL
    values = minimize(f, x0, HeavyBall(step, beta), max_steps=400).values
    assert (values[-1] / values[0]) ** (1 / 800) == pytest.approx(0.9, abs=0.01)


@pytest.mark.erratum("S2")
def test_the_closed_form_of_the_power_has_its_two_matrices_swapped(printed):
    R = momentum_matrix(0.2, 0.05)
    s1, s2 = np.linalg.eigvals(R)
    R1, R2 = ((R - s * np.eye(2)) / (s1 - s2) for s in (s1, s2))
    cubed = np.linalg.matrix_power(R, 3)
    np.testing.assert_allclose(s1**3 * R2 - s2**3 * R1, cubed, atol=1e-15)
    as_printed = s1**3 * R1 - s2**3 * R2
    printed.agrees(cubed=cubed[0, 0], swapped=as_printed[0, 0])


@pytest.mark.erratum("S3")
def test_newton_schulz_leaves_singular_values_that_are_not_uniform(printed):
    def landed(smallest):
        """Where five iterations take singular values from `smallest` to 1."""
        s = np.geomspace(smallest, 1.0, 20_001)
        for _ in range(5):
            s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        return s

    printed.agrees(low=landed(0.01).min(), high=landed(0.01).max())
    printed.agrees(lowest=landed(0.001).min(), highest=landed(0.001).max())
    rng = np.random.default_rng(0)
    values = np.linalg.svd(newton_schulz(rng.normal(size=(128, 256))), compute_uv=False)
    bound = 1.21
    printed.agrees(bound=bound)
    assert landed(1e-9).max() < bound
    assert np.mean(values > bound) == 0 < 1.5 - bound  # of a uniform one this share lies above


@pytest.mark.erratum("E13")
def test_without_momentum_the_same_step_diverges():
    f, x0 = BOWL
    assert minimize(f, x0, HeavyBall(2.5, 0.9), max_steps=500).value < 1e-6
    assert minimize(f, x0, GradientDescent(2.5), max_steps=500).value > 1e6
