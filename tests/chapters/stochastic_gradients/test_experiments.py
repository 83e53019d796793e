"""How mini-batches are drawn, and where SGD on them ends."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from dlcourse import batches, datasets
from dlcourse.chapters.stochastic_gradients import descent, noise, streaming
from dlcourse.contest import Contest
from dlcourse.losses import Quadratic, SoftmaxLoss, SquaredError
from dlcourse.optim import SGD, PolynomialDecay


@pytest.fixture
def data(rng):
    return datasets.linear_model(60, np.array([1.0, -2.0, 0.5]), noise_sd=1.0, rng=rng)


def test_a_shuffled_epoch_holds_every_row_once_and_a_replaced_one_does_not(rng):
    epoch = batches.shuffled(rng, (3, 50))
    assert (np.sort(epoch, axis=1) == np.arange(50)).all()
    assert not (epoch[0] == epoch[1]).all()
    seen = np.unique(batches.replaced(rng, (10_000,)))
    assert abs(1 - len(seen) / 10_000 - np.exp(-1)) < 0.02


@pytest.mark.proves("eq-sgd-steps", by="truth")
@pytest.mark.parametrize(("n", "size"), [(10, 4), (12, 4), (7, 7), (5, 9)])
def test_an_epoch_takes_n_over_b_steps_rounded_up_and_loses_no_row(rng, n, size):
    budget = batches.Budget(n_epochs=3, batch_size=size)
    drawn = list(batches.batches(budget, n, rng, runs=(2,)))
    assert len(drawn) == budget.n_steps(n) == 3 * int(np.ceil(n / size))
    epochs = np.concatenate(drawn, axis=1).reshape(2, 3, n)
    assert (np.sort(epochs) == np.arange(n)).all()
    assert (epochs[0] != epochs[1]).any()  # each run has its own order
    assert (epochs[:, 0] != epochs[:, 1]).any()  # and each epoch


def test_mini_batch_gradients_average_to_the_gradient_of_the_whole(data, rng):
    loss, x = SquaredError(data.X, data.y), rng.normal(size=3)
    drawn = batches.batches(batches.Budget(n_epochs=1, batch_size=20), 60, rng)
    mean = np.mean([batches.on_rows(loss, rows)(x)[1] for rows in drawn], axis=0)
    np.testing.assert_allclose(mean, loss(x)[1], rtol=1e-12)


def test_row_gradients_average_to_the_gradient_of_the_loss(data, rng):
    beta = rng.normal(size=3)
    mean = noise.row_gradients(data.X, data.y, beta).mean(0)
    assert np.allclose(mean, SquaredError(data.X, data.y)(beta)[1], rtol=1e-12)


def test_the_measured_noise_follows_the_formulas(data, rng):
    seen = noise.measure_noise(data.X, data.y, np.zeros(3), [1, 8, 60], rng)
    for how, measured in seen.measured.items():
        assert np.allclose(measured, seen.expected[how], rtol=0.15, atol=1e-12)
    assert seen.measured["without"][-1] < 1e-20 < seen.measured["with replacement"][-1]
    assert seen.bias < 4


@pytest.mark.proves("eq-sgd-estimate", "eq-sgd-loss", by="independent")
def test_the_batch_gradient_is_that_of_torch(data, rng):
    rows, beta = rng.integers(60, size=(4, 7)), rng.normal(size=(4, 3))
    ours = descent.batch_gradient(data.X, data.y, beta, rows)
    X, y = torch.from_numpy(data.X), torch.from_numpy(data.y)
    for run in range(4):
        theta = torch.from_numpy(beta[run]).requires_grad_()
        each = [((X[i] @ theta - y[i]) ** 2 / 2) for i in rows[run]]
        (sum(each) / len(each)).backward()
        assert np.allclose(ours[run], theta.grad.numpy(), rtol=1e-12)


def test_all_rows_in_a_batch_make_it_gradient_descent(data, rng):
    whole = descent.Sampling(batch_size=60, n_epochs=30, n_runs=1)
    excess = descent.descend(data.X, data.y, 0.3, whole, rng)[:, 0]
    loss, beta = SquaredError(data.X, data.y), np.zeros(3)
    for _ in range(30):
        beta = beta - 0.3 * loss(beta)[1]
    smallest = loss(np.linalg.lstsq(data.X, data.y, rcond=None)[0])[0]
    assert np.isclose(excess[-1], loss(beta)[0] - smallest, rtol=1e-9)


def test_runs_do_not_mix(data):
    together = descent.descend(
        data.X, data.y, 0.1, descent.Sampling(n_epochs=2, n_runs=3), np.random.default_rng(1)
    )
    assert together.shape == (3, 3)
    assert len(np.unique(together[-1])) == 3


def test_a_noisy_bowl_without_noise_is_the_bowl(rng):
    noisy = descent.NoisyBowl(Quadratic(np.diag([1.0, 2.0]), np.ones(2)), 0.0, 1.0, 2.0)
    squares = noisy.descend(np.array([2.0, 3.0]), 0.5, 2, rng, n_runs=3)
    assert np.allclose(squares, [5.0, 0.25, 0.0625])


def test_the_noise_of_the_bowl_has_the_stated_mean_square(rng):
    flat = descent.NoisyBowl(Quadratic(np.zeros((3, 3)), np.zeros(3)), 2.0, 1.0, 1.0)
    squares = flat.descend(np.zeros(3), 1.0, 1, rng, n_runs=40_000)
    assert np.isclose(squares[1], 4.0, rtol=0.03)


def test_softmax_training_follows_the_gradient_of_the_loss():
    X, labels = load_iris(return_X_y=True)
    budget = batches.Budget(n_epochs=5, batch_size=len(X))
    whole = descent.softmax_losses(X, labels, SGD(0.1), budget, seed=0)
    loss, theta = SoftmaxLoss(X, labels), np.zeros(3 * X.shape[1])
    for _ in range(5):
        theta = theta - 0.1 * loss(theta)[1]
    assert np.isclose(whole[-1], loss(theta)[0], rtol=1e-12)


def test_the_best_rate_of_the_grid_is_kept_and_reported_on_other_seeds():
    X, labels = load_iris(return_X_y=True)
    found = descent.losses_by_batch_size(X, labels, [30, 150], [0, 1], [2, 3, 4])
    assert found.n_steps == [50, 10]
    for size, losses in found.losses.items():
        budget = batches.Budget(n_epochs=10, batch_size=size)
        last = [
            np.mean([descent.softmax_losses(X, labels, SGD(r), budget, s)[-1] for s in (0, 1)])
            for r in descent.RATES
        ]
        rate = descent.RATES[int(np.argmin(last))]
        assert found.contest.tuning[size].rate == rate
        again = [descent.softmax_losses(X, labels, SGD(rate), budget, s) for s in (2, 3, 4)]
        np.testing.assert_array_equal(losses, again)


@pytest.mark.proves("eq-sgd-pinball", by="derivative")
def test_the_subgradient_of_the_pinball_loss_is_its_slope(rng):
    theta, x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 3)), rng.normal(size=20)
    subgradient = streaming.pinball_subgradient(theta, x, y, level=0.8)

    def loss(theta):
        short = y - (x * theta).sum(-1)
        return np.maximum(0.8 * short, -0.2 * short)

    for axis in np.eye(3):
        slope = (loss(theta + 1e-7 * axis) - loss(theta - 1e-7 * axis)) / 2e-7
        assert np.allclose(slope, subgradient @ axis, atol=1e-6)


@pytest.mark.proves("eq-sgd-polynomial", by="truth")
def test_polynomial_decay_halves_where_it_should():
    schedule = PolynomialDecay(first_rate=3.0, power=0.6)
    assert schedule(0) == 3.0
    assert np.isclose(schedule(2 ** (1 / 0.6) - 1), 1.5)


@pytest.mark.proves("eq-sgd-average", by="truth")
def test_the_average_of_a_stream_reaches_the_precision_of_all_rows_at_once(rng):
    schedule = PolynomialDecay(first_rate=3.0, power=0.6)
    streams = streaming.quantile_streams(5_000, 0.7, schedule, rng, n_runs=200)
    assert streams.average[-1] < 1.3 * streams.floor[-1]
    assert streams.average[-1] < streams.last[-1]


def test_the_floor_of_the_streams_is_the_precision_of_quantile_regression(rng):
    from sklearn.linear_model import QuantileRegressor

    n, level, errors = 400, 0.7, []
    truth = np.array([1 + np.log(level / (1 - level)), 2.0])
    for _ in range(60):
        x = rng.uniform(-1, 1, n)
        y = 1 + 2 * x + rng.logistic(size=n)
        fit = QuantileRegressor(quantile=level, alpha=0.0).fit(x[:, None], y)
        errors.append(((np.array([fit.intercept_, fit.coef_[0]]) - truth) ** 2).sum())
    streams = streaming.quantile_streams(n, level, PolynomialDecay(1.0, 0.6), rng, 2)
    assert np.isclose(np.sqrt(np.mean(errors)), streams.floor[-1], rtol=0.2)


def test_the_prose_compares_the_smallest_batch_with_all_rows():
    losses = {8: [[9.0, 0.25], [9.0, 0.75]], 64: [[9.0, 1.0], [9.0, 4.5]], 640: [[9.0, 2.0]] * 2}
    scores = {"losses": {size: np.array(values) for size, values in losses.items()}}
    trained = descent.BatchSizes(Contest({}, scores, by="loss"), [2_400, 300, 30])
    assert trained.prose() == {
        "sgd_tiny": "0.50",
        "sgd_full": "2.00",
        "sgd_worst": "4.50",
        "sgd_worst_steps": "300",
        "sgd_tiny_steps": "2,400",
        "sgd_full_steps": "30",
    }


def test_the_prose_of_the_streams_is_about_their_ends():
    ends = (np.array(errors) for errors in ([9.0, 5.0], [9.0, 2.5], [1.0, 2.0]))
    assert streaming.Streams([100, 20_000], *ends).prose() == {
        "sgd_shortfall": "25%",
        "sgd_stream": "20,000",
        "sgd_last": "2.5",
    }
