from itertools import combinations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.linear_model import LinearRegression

from dlcourse import datasets
from dlcourse.linear import selection


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


@pytest.fixture
def decoy(rng):
    return datasets.decoy(200, rng)


@pytest.mark.erratum("E38")  # the slide calls the stepwise choice "the best" of its size
def test_forward_stepwise_and_best_subset_of_size_four_differ(decoy):
    X, y, beta, _ = decoy
    greedy, best = selection.forward_stepwise(X, y, size=4), selection.best_subset(X, y, size=4)
    assert greedy.features[1] == best.features[1] == (4,)  # at size one greedy is best
    assert 4 in greedy.features[4]
    assert best.features[4] == tuple(np.flatnonzero(beta))
    assert best.rss[4] < greedy.rss[4] / 2
    print(f"RSS of size 4: forward stepwise {greedy.rss[4]:.2f}, best subset {best.rss[4]:.2f}")


@pytest.mark.erratum("E38")
def test_on_the_diabetes_data_they_differ_too(diabetes):
    X, y = diabetes
    greedy, best = selection.forward_stepwise(X, y), selection.best_subset(X, y)
    differing = [k for k in range(11) if set(greedy.features[k]) != set(best.features[k])]
    assert differing
    assert (best.rss <= greedy.rss * (1 + 1e-12)).all()
    assert (best.rss[differing] < greedy.rss[differing]).all()


@pytest.mark.parametrize("size", [1, 3, 6])
def test_forward_stepwise_agrees_with_sklearn(diabetes, size):
    X, y = diabetes

    def smallest_rss(model, X, y):
        return -(((y - model.predict(X)) ** 2).sum())

    everything = [(np.arange(len(y)), np.arange(len(y)))]  # train and score on the same data
    theirs = SequentialFeatureSelector(
        LinearRegression(), n_features_to_select=size, scoring=smallest_rss, cv=everything
    ).fit(X, y)
    ours = selection.forward_stepwise(X, y, size).features[size]
    assert set(ours) == set(theirs.get_support(indices=True).tolist())


def test_each_rss_is_that_of_its_regression(diabetes, decoy):
    for X, y in (diabetes, decoy[:2]):
        for found in (selection.forward_stepwise(X, y), selection.best_subset(X, y, size=4)):
            for features, rss in zip(found.features, found.rss, strict=True):
                assert rss == pytest.approx(selection.rss(X, y, features), rel=1e-10)
                if features:
                    model = LinearRegression().fit(X[:, features], y)
                    theirs = ((y - model.predict(X[:, features])) ** 2).sum()
                    assert rss == pytest.approx(theirs, rel=1e-10)


def test_best_subset_beats_every_other_subset(rng):
    X, y = rng.normal(size=(40, 6)), rng.normal(size=40)
    found = selection.best_subset(X, y)
    for k in range(7):
        every = [selection.rss(X, y, chosen) for chosen in combinations(range(6), k)]
        assert found.rss[k] == pytest.approx(min(every), rel=1e-12)


def test_more_features_than_rows_are_no_obstacle_to_small_subsets(rng):
    X = rng.normal(size=(20, 30))
    y = X[:, [4, 17]].sum(1) + 0.1 * rng.normal(size=20)
    assert selection.best_subset(X, y, size=2).features[2] == (4, 17)


def test_blocks_do_not_change_the_best_subset(rng):
    X, y = rng.normal(size=(60, 24)), rng.normal(size=60)  # 10,626 subsets: two blocks
    y += X[:, [20, 21, 22, 23]].sum(1)  # the very last subset of the second block
    assert selection.best_subset(X, y, size=4).features[4] == (20, 21, 22, 23)


def test_both_recover_the_features_that_matter(rng):
    X = rng.normal(size=(1_000, 12))
    y = X[:, [2, 5, 7]] @ [3.0, 2.0, 1.0] + rng.normal(size=1_000)
    assert selection.forward_stepwise(X, y, size=3).features[3] == (2, 5, 7)  # by their size
    assert selection.best_subset(X, y, size=3).features[3] == (2, 5, 7)
    criteria = selection.forward_stepwise(X, y)
    assert criteria.bic().argmin() == 3
    assert criteria.cp(noise_variance=1.0).argmin() >= 3  # Cp is the more generous one


def test_cp_estimates_the_prediction_error(rng):
    X = rng.normal(size=(60, 5))
    mean = X[:, 0] - X[:, 1]
    estimates, truths = [], []
    for _ in range(400):
        y, again = mean + rng.normal(size=(2, 60))
        model = selection.Selection(((0, 1, 2),), np.array([selection.rss(X, y, (0, 1, 2))]), 60)
        design = np.column_stack([np.ones(60), X[:, :3]])
        fitted = design @ np.linalg.lstsq(design, y, rcond=None)[0]
        estimates.append(model.cp(noise_variance=1.0)[0])
        truths.append(((again - fitted) ** 2).mean())
    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=0.04)


def test_units_and_origins_do_not_matter(decoy, rng):
    X, y, *_ = decoy
    moved = X * np.exp(rng.normal(size=8)) + rng.normal(size=8)
    for select in (selection.forward_stepwise, selection.best_subset):
        assert select(X, y, 4).features == select(moved, 100 * y + 3.0, 4).features


@pytest.mark.bad_input
def test_bad_input_raises_with_the_cure(rng):
    X, y = rng.normal(size=(20, 30)), rng.normal(size=20)
    with pytest.raises(ValueError, match="`size` must lie between 0 and 19"):
        selection.forward_stepwise(X, y, size=25)
    with pytest.raises(ValueError, match="Lower `size`, or use `forward_stepwise`"):
        selection.best_subset(X, y, size=15)
    with pytest.raises(ValueError, match=r"only 2 linearly independent features, asked for 3"):
        selection.forward_stepwise(X[:, [0, 1, 0]], y)
    with pytest.raises(ValueError, match="every 2 columns of `X` to be linearly independent"):
        selection.best_subset(X[:, [0, 1, 0]], y)
    with pytest.raises(ValueError, match="constant"):
        selection.forward_stepwise(np.column_stack([np.ones(20), X[:, :2]]), y)
    with pytest.raises(ValueError, match=r"`y.ravel\(\)`"):
        selection.forward_stepwise(X, y[:, None])


def test_a_selection_prints_as_a_table(decoy):
    X, y, *_ = decoy
    text = repr(selection.best_subset(X, y, size=4))
    assert "R squared" in text
    assert "0 1 2 3" in text
