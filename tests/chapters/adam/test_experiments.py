"""The experiments of the chapter on Adam: parts, lengths, tuning, data, penalties, cycles."""

from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from dlcourse.batches import Budget
from dlcourse.chapters.adam import ablation, counterexample, descent, lengths, on_data, weight_decay
from dlcourse.chapters.adam.parts import LATEST, Assembled, Average, variants
from dlcourse.losses import LogisticLoss, SquaredError
from dlcourse.optim import SGD, Adam, AMSGrad, PolynomialDecay, minimize
from tests.library.optim.paths import noisy_bowl, path


@pytest.fixture(scope="module")
def parts():
    return ablation.ablate(tuning_seeds=[30, 31], reporting_seeds=[32, 33])


@pytest.fixture(scope="module")
def tumors():
    X, y = load_breast_cancer(return_X_y=True)
    return X, y.astype(float)


@pytest.fixture(scope="module")
def comparison(tumors):
    return on_data.losses_by_optimizer(*tumors, tuning_seeds=[30, 31], reporting_seeds=[32, 33])


# The optimizer in parts


def test_without_averages_it_is_gradient_descent(rng):
    gradient, x0 = noisy_bowl(rng, (4,)), rng.normal(size=4)
    ours = path(Assembled(0.05, mean=LATEST), x0, gradient)
    np.testing.assert_allclose(ours, path(SGD(0.05), x0, gradient), rtol=0, atol=1e-14)


def test_every_variant_is_what_its_name_says(rng):
    gradient, x0 = noisy_bowl(rng, (4,)), rng.normal(size=4)
    made = {name: make(0.02) for name, make in variants(n_steps=200).items()}
    paths = {name: path(optimizer, x0, gradient) for name, optimizer in made.items()}
    expected = {"gradient": SGD(0.02), "scaled": Adam(0.02, beta1=0.0), "Adam": Adam(0.02)}
    for name, optimizer in expected.items():
        np.testing.assert_allclose(paths[name], path(optimizer, x0, gradient), rtol=0, atol=1e-12)
    first = {name: np.abs(points[1] - x0) for name, points in paths.items()}
    np.testing.assert_allclose(first["scaled, uncorrected"], 0.02 / np.sqrt(0.001), rtol=1e-5)
    np.testing.assert_allclose(first["Adam, uncorrected"], 0.02 * 0.1 / np.sqrt(0.001), rtol=1e-5)
    falling = np.abs(np.diff(paths["Adam, falling step"], axis=0))
    assert falling[-1].max() < 1e-3 * falling[0].max()


def test_each_run_has_its_own_step_size(rng):
    gradient, x0 = noisy_bowl(rng, (3,)), rng.normal(size=(2, 3))
    rates = np.array([0.01, 0.3])
    adam = partial(Assembled, mean=Average(0.9), mean_square=Average(0.999))
    together = path(adam(rates), x0, gradient)
    for i, rate in enumerate(rates):
        np.testing.assert_allclose(together[:, i], path(adam(rate), x0[i], gradient), rtol=1e-13)


def test_averaging_leaves_what_noise_adds_up_to_as_it_is(rng):
    signs = rng.choice([-1.0, 1.0], size=(1_500, 1_000))
    spreads = []
    for beta1 in (0.0, 0.9):
        points = path(Adam(1.0, beta1, epsilon=0.0), np.zeros(1_000), lambda k, x: signs[k], 1_500)
        spreads.append([points[-1].std(), np.diff(points[-100:], axis=0).std()])
    (far, step), (averaged_far, averaged_step) = spreads
    assert averaged_far == pytest.approx(far, rel=0.05)
    assert averaged_step == pytest.approx(step * np.sqrt(1 / 19), rel=0.05)


# Lengths of steps


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.8, 0.99)])
def test_the_cases_of_the_table_are_as_computed(beta1, beta2, rng):
    cases = lengths.cases(rng, beta1=beta1, beta2=beta2)
    for name, length in cases.run.items():
        assert length == pytest.approx(cases.computed[name], rel=0.15 if "noise" in name else 1e-6)
    assert list(cases.run)[-1] == f"growing by {100 * (beta2 / beta1 - 1):.2g} % a step"
    assert repr(cases).splitlines()[0].split() == "gradients step / α by formula".split()


def test_the_table_of_epsilons():
    rows = repr(lengths.epsilon_table([1e-6, 1e-8], epsilon=1e-8)).splitlines()
    assert rows[1].split() == ["1e-06", "0.99", "0.01", "99"]
    assert rows[2].split()[:3] == ["1e-08", "0.5", "0.0001"]


# Tuning


def test_training_on_full_batches_is_minimizing(rng):
    loss = SquaredError(rng.normal(size=(20, 3)), rng.normal(size=20))
    values, x = descent.train(loss, np.zeros(3), Adam(0.1), Budget(30, 20), rng)
    run = minimize(loss, np.zeros(3), Adam(0.1), max_steps=30)
    np.testing.assert_allclose(values, run.values, rtol=1e-10)
    np.testing.assert_allclose(x, run.x, rtol=1e-8)


def test_a_step_size_that_is_too_large_has_an_infinite_loss(rng):
    X = rng.normal(size=(40, 2))
    loss, rates = SquaredError(X, X @ np.array([1.0, -1.0])), np.array([1e-4, 0.1, 1e4])
    values, _ = descent.train(loss, np.zeros((3, 2)), SGD(rates), Budget(60, 10), rng)
    assert np.isinf(values[2, -1])
    assert values[:, -1].argmin() == 1


def test_every_step_size_sees_the_batches_that_it_would_see_alone():
    together = ablation.trial(Adam, [0.01, 0.1], [4, 5])
    for i, rate in enumerate([0.01, 0.1]):
        alone = ablation.trial(Adam, [rate], [5])
        np.testing.assert_allclose(together["gaps"][i, 1], alone["gaps"][0, 0], rtol=1e-9)
    np.testing.assert_array_equal(together["gap"], together["gaps"][..., -1])


# What each part buys


def test_the_data_are_worth_the_same_in_every_unit(rng):
    units = np.array([0.1, 1.0, 10.0])
    data = ablation.mixed_units(50_000, units, rng)
    np.testing.assert_allclose(data.X.std(axis=0), units, rtol=0.02)
    np.testing.assert_allclose(np.abs(data.beta) * units, 1.0)
    assert (data.y - data.X @ data.beta).std() == pytest.approx(1, rel=0.02)


def test_the_estimation_error_is_the_excess_risk_of_least_squares(rng):
    units = np.array([0.1, 10.0])
    sample = ablation.Sample(ablation.mixed_units(200, units, rng), units)
    X = rng.normal(size=(400_000, 2)) * units
    excess = ((X @ (sample.minimizer - sample.data.beta)) ** 2).mean() / 2
    assert sample.estimation == pytest.approx(excess, rel=0.02)
    np.testing.assert_allclose(sample.loss(sample.minimizer)[1], 0, atol=1e-10)


def test_the_estimation_errors_have_the_size_that_theory_gives(parts):
    assert 0.3 < np.mean(parts.estimation) / (8 / (2 * 1_000)) < 3  # p sigma^2 / (2 n)


def test_no_gap_is_negative(parts):
    for gaps in parts.gaps.values():
        assert gaps.min() > -1e-12
    assert all((gaps[:, 0] == 0).all() and gaps.min() > -1e-12 for gaps in parts.warm.values())


def test_the_prose_tells_the_gaps_of_every_variant_and_of_a_longer_step(parts):
    prose = {name: float(text.split()[0]) for name, text in parts.prose().items()}
    medians = [np.median(gaps[:, -1]) for gaps in parts.gaps.values()]
    told = [prose[f"adam_end_{i}"] for i in range(len(medians))]
    np.testing.assert_allclose(told, medians, rtol=0.05)
    assert prose["adam_longer"] == pytest.approx(10**0.75, rel=0.05)  # three of four a decade
    late = np.median(parts.longer_gaps[:, -1])
    assert prose["adam_late"] == pytest.approx(late, rel=0.05)
    assert prose["adam_warm"] < prose["adam_warm_raw"]


def test_the_scale_buys_the_most_and_the_corrections_the_start(parts):
    end = {name: gaps[:, -1] for name, gaps in parts.gaps.items()}
    assert (end["Adam"] < end["gradient"] / 5).all()  # on each of the samples
    assert (end["Adam, falling step"] < end["Adam"] / 5).all()
    ratio = np.log(end["gradient"] / end["averaged"]).mean()
    assert parts.ratios.mean[0] == pytest.approx(ratio, rel=1e-12)
    assert np.median(end["Adam, falling step"]) < np.median(parts.estimation)
    first = {name: np.median(gaps[:, 1]) for name, gaps in parts.warm.items()}
    # a first step 1 / sqrt(0.001) times as long, on a quadratic: its square
    assert first["scaled, uncorrected"] / first["scaled"] == pytest.approx(1 / 0.001, rel=0.01)
    assert first["Adam, uncorrected"] / first["Adam"] == pytest.approx(0.1**2 / 0.001, rel=0.01)
    assert repr(parts).splitlines()[1].endswith("-")  # no warm start for the plain gradient


# On data


def test_features_are_standardized_by_the_training_data_alone(rng):
    train, other = 5 + 3 * rng.normal(size=(40, 2)), 100 + rng.normal(size=(10, 2))
    Z, Z_other = on_data.standardized(train, other)
    np.testing.assert_allclose(Z[:, 1:].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(Z[:, 1:].std(axis=0), 1)
    np.testing.assert_allclose(Z_other[:, 1:] * train.std(axis=0) + train.mean(axis=0), other)
    assert (Z[:, 0] == 1).all()
    assert (on_data.recorded(train, other)[1][:, 1:] == other).all()


def test_both_versions_are_one_family_of_models(tumors, rng):
    X, y = tumors
    raw, standard = (prepare(X, X)[0] for prepare in on_data.UNITS.values())
    beta = rng.normal(size=31)
    slopes = beta[1:] / X.std(axis=0)
    same = np.concatenate([[beta[0] - slopes @ X.mean(axis=0)], slopes])
    assert LogisticLoss(raw, y)(same)[0] == pytest.approx(LogisticLoss(standard, y)(beta)[0])


def test_units_matter_more_than_optimizers(comparison):
    raw, standard = on_data.UNITS
    ends = {units: held.scores["training loss"] for units, held in comparison.contests.items()}
    assert all(held.is_interior for held in comparison.contests.values())
    assert (ends[raw]["Adam"] < ends[raw]["SGD"]).all()  # on each of the splits
    for name in on_data.OPTIMIZERS:
        assert (ends[standard][name] < ends[raw]["Adam"]).all()
    assert comparison.growth("Adam") < comparison.growth("SGD") / 100


def test_the_prose_tells_the_losses_and_how_far_step_sizes_move(comparison):
    prose = comparison.prose()
    contests, names = comparison.contests.values(), list(on_data.OPTIMIZERS)
    medians = [np.median(x) for held in contests for x in held.scores["training loss"].values()]
    told = [float(prose[f"adam_data_{i}"].split()[0]) for i in range(len(medians))]
    np.testing.assert_allclose(told, medians, rtol=0.05)
    assert (float(prose["adam_rate_low"]), float(prose["adam_rate_high"])) == (1e-8, 1e2)
    low, high = map(int, prose["adam_good"].split(" to "))
    n_good = [comparison.n_good(units, name) for units in on_data.UNITS for name in names]
    assert (low, high) == (min(n_good), max(n_good))
    assert float(prose["adam_grow_adam"].replace(",", "")) < comparison.growth("SGD") / 100


def test_losses_are_those_of_the_points_where_training_ends(tumors, comparison):
    splits = on_data.Splits(*tumors, on_data.standardized)
    loss, held_out, rng = splits.losses(33)  # the last of the seeds that report
    held = comparison.contests["standardized"]
    falls = on_data.Falling(np.array([held.tuning["Adam"].rate]), 30 * -(-len(loss.y) // 32))
    _, (x,) = descent.train(loss, np.zeros((1, 31)), Adam(falls), on_data.BUDGET, rng)
    for measure, of in {"training loss": loss, "held-out loss": held_out}.items():
        assert held.scores[measure]["Adam"][-1] == pytest.approx(of(x)[0])
    assert comparison.n_good("standardized", "Adam") >= 1
    assert len(repr(comparison).splitlines()) == 7


def test_a_split_divides_the_tumors_and_standardizes_by_the_training_part(tumors):
    X, y = tumors
    loss, held_out, _ = on_data.Splits(X, y, on_data.standardized).losses(7)
    order = np.random.default_rng(7).permutation(len(y))
    cut = int(0.7 * len(y))
    Z, Z_other = on_data.standardized(X[order[:cut]], X[order[cut:]])
    for part, design, rows in ((loss, Z, order[:cut]), (held_out, Z_other, order[cut:])):
        np.testing.assert_array_equal(part.X, design)
        np.testing.assert_array_equal(part.y, y[rows])


def test_scikit_learn_goes_below_the_best_that_adam_does_as_recorded(tumors, comparison):
    loss, *_ = on_data.Splits(*tumors, on_data.standardized).losses(33)
    best = LogisticRegression(C=1e3, fit_intercept=False, tol=1e-8, max_iter=10_000)
    theirs = loss(best.fit(loss.X, loss.y).coef_[0])[0]
    held = comparison.contests["as recorded"]
    assert held.scores["training loss"]["Adam"][-1] > 2 * theirs


# A penalty inside and beside


def test_mirrored_runs_make_adamw_exact(rng):
    result = weight_decay.shrinkage(np.array([0.5, 4.0]), 0.3, rng, n_steps=300)
    expected = np.broadcast_to(result.beside_computed[:, None], result.beside.shape)
    np.testing.assert_allclose(result.beside, expected, rtol=1e-10)
    assert result.inside[-1, 1] > 2 * result.inside[-1, 0]
    assert len(repr(result).splitlines()) == 3


# Cycles


def test_a_settled_average_is_the_average_of_a_long_run(rng):
    values, m = rng.normal(size=7), 0.0
    for _ in range(100):
        for value in values:
            m = 0.9 * m + 0.1 * value
    assert counterexample.settled(values, 0.9)[-1] == pytest.approx(m)
    assert counterexample.settled(values, 0.9).mean() == pytest.approx(values.mean())


@pytest.mark.parametrize("make", [Adam, AMSGrad])
def test_settled_moves_are_those_of_the_optimizer(make):
    cycle = counterexample.rare_spike(11)
    optimizer = make(1.0, beta1=0.9, beta2=0.95, epsilon=0.0)
    slopes = np.tile(cycle, 100)
    points = path(optimizer, np.zeros(1), lambda k, x: slopes[k : k + 1], n_steps=len(slopes))
    moves = counterexample.moves(cycle, 0.9, 0.95, keeps_largest=make is AMSGrad)
    np.testing.assert_allclose(np.diff(points[-12:, 0]), moves, rtol=1e-9)


def test_paths_stay_within_the_walls_and_step_sizes_fall():
    points = counterexample.follow(SGD(PolynomialDecay(0.5, power=0.5)), np.array([1.0, -1.0]), 50)
    steps = np.abs(np.diff(points))
    np.testing.assert_allclose(steps, 0.5 / np.sqrt(np.arange(1, 101)), rtol=1e-12)
    assert np.abs(counterexample.follow(SGD(7.0), np.array([1.0]), 3)).max() == 1


def test_the_prose_tells_where_the_weights_and_the_points_end():
    size = np.array([1.0, 2.0])
    left, alike = np.array([[1.0, 1.0], [0.25, 0.5]]), np.full((2, 2), 0.125)
    shrinkage = weight_decay.Shrinkage(size, left, left, alike, alike[:, 0])
    assert list(shrinkage.prose().values()) == ["25%", "50%", "12.5%"]
    points = {"Adam": np.array([0.0, 1.0]), "AMSGrad": np.array([0.0, -0.5])}
    moves = {"Adam": np.array([3.0, -1.0]), "AMSGrad": np.array([0.5, -0.75])}
    example = counterexample.Counterexample(points, moves)
    assert list(example.prose().values()) == ["1.00", "-0.50", "2.0", "0.25"]


def test_on_the_rare_spike_adam_goes_up_and_amsgrad_down():
    example = counterexample.run(counterexample.rare_spike(), n_cycles=150)
    assert example.points["Adam"][-1] > 0.9 > -0.9 > example.points["AMSGrad"][-1]
    adam, amsgrad = repr(example).splitlines()[1:]
    assert adam.split()[-1] == "+1.901"
    assert amsgrad.split()[-1] == "-0.079"


@pytest.mark.parametrize(("length", "beta2", "sign"), [(101, 0.999, 1), (101, 0.9999, -1)])
def test_a_longer_memory_repairs_the_cycle(length, beta2, sign):
    assert (
        np.sign(counterexample.moves(counterexample.rare_spike(length), 0.9, beta2).sum()) == sign
    )


# Does a planted bug make the tests fail?


def test_a_bias_correction_that_counts_from_zero_would_be_seen(rng):
    class CountsFromZero(Average):
        def take(self, m, new, k):
            return super().take(m, new, max(k - 1, 1))

    gradients = rng.normal(size=(5, 1))
    for average, is_right in ((Average(0.9), True), (CountsFromZero(0.9), False)):
        m = np.zeros(1)
        for k, gradient in enumerate(gradients, start=1):
            m, corrected = average.take(m, gradient, k)
        expected = np.average(gradients, axis=0, weights=0.9 ** np.arange(4, -1, -1))
        assert np.allclose(corrected, expected) == is_right
