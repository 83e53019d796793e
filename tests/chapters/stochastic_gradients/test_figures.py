"""The captions of the chapter's figures hold on the data that the figures draw."""

import numpy as np
from sklearn.datasets import load_iris

from dlcourse import batches, datasets
from dlcourse.chapters.stochastic_gradients import descent, figures, noise
from dlcourse.losses import Quadratic


def test_the_points_lie_on_a_line_of_slope_minus_one_or_below(rng):
    data = datasets.linear_model(128, np.array([1.0, 2.0]), noise_sd=1.0, rng=rng)
    seen = noise.measure_noise(data.X, data.y, np.zeros(2), 2 ** np.arange(8), rng)
    drawn = figures.batch_noise(seen).data
    x, y = drawn["with replacement, sizes"], drawn["with replacement, measured"]
    assert abs(np.polyfit(np.log(x), np.log(y), 1)[0] + 1) < 0.05
    assert drawn["without, sizes"][-1] == 64
    assert (drawn["without, expected"][1:] < drawn["with replacement, expected"][1:-1]).all()


def test_constant_steps_level_off_and_decaying_steps_go_on(rng):
    noisy = descent.NoisyBowl(Quadratic(np.diag([0.2, 1.0]), np.zeros(2)), 1.0, 0.2, 1.0)
    runs = descent.compare_step_sizes(noisy, np.ones(2), [0.5, 0.1], 1_500, rng)
    drawn = figures.step_sizes(runs).data
    late = drawn["k"] > 500
    for name in ("constant 0.5", "constant 0.1"):
        assert np.ptp(np.log(drawn[name][late])) < 0.5
        assert (drawn[name] <= 1.15 * drawn[f"{name}, bound"]).all()
    assert drawn["decaying"][-1] < 0.5 * drawn["decaying"][late][0]
    assert drawn["decaying"][-1] < drawn["constant 0.1"][-1] < drawn["constant 0.5"][-1]


def test_shuffling_levels_off_lower(rng):
    data = datasets.linear_model(100, np.array([1.0, 2.0]), noise_sd=1.0, rng=rng)
    excess = {
        order.__name__: descent.descend(data.X, data.y, 0.02, descent.Sampling(order), rng)
        for order in (batches.shuffled, batches.replaced)
    }
    figure = figures.orders(excess)
    low, middle, high = figure.data["shuffled"]
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert (middle[10:] < figure.data["replaced"][1][10:]).all()
    assert f"{excess['shuffled'][-1].mean():.1e} shuffled" in figure.caption


def test_the_smaller_the_batch_the_lower_the_line():
    X, labels = load_iris(return_X_y=True)
    X = np.column_stack([np.ones(len(X)), (X - X.mean(0)) / X.std(0)])
    trained = descent.losses_by_batch_size(X, labels, [10, 150], [0, 1], [2, 3])
    drawn = figures.batch_sizes(trained).data
    assert (drawn["batch size 10"][:, -1] < drawn["batch size 150"][:, -1].min()).all()
    np.testing.assert_allclose(np.ptp(drawn["batch size 150"], axis=0), 0, atol=1e-12)  # no band
