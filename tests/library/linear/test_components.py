import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from dlcourse.linear.components import principal_components


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)[0]


@pytest.mark.parametrize("is_standardized", [True, False])
def test_directions_variances_and_scores_agree_with_sklearn(iris, is_standardized):
    ours = principal_components(iris, is_standardized=is_standardized)
    features = StandardScaler().fit_transform(iris) if is_standardized else iris
    theirs = PCA().fit(features)
    signs = np.sign((ours.directions * theirs.components_).sum(1))
    np.testing.assert_allclose(ours.directions * signs[:, None], theirs.components_, atol=1e-12)
    np.testing.assert_allclose(ours.variances, theirs.explained_variance_, rtol=1e-12)
    np.testing.assert_allclose(ours.shares, theirs.explained_variance_ratio_, rtol=1e-12)
    np.testing.assert_allclose(ours.scores(iris) * signs, theirs.transform(features), atol=1e-12)


def test_directions_are_eigenvectors_of_the_correlation_matrix(iris):
    found = principal_components(iris)
    correlations = np.corrcoef(iris.T) * 150 / 149
    for direction, variance in zip(found.directions, found.variances, strict=True):
        np.testing.assert_allclose(correlations @ direction, variance * direction, atol=1e-13)
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(4), atol=1e-14)


def test_scores_are_uncorrelated_with_the_stated_variances(iris):
    found = principal_components(iris)
    np.testing.assert_allclose(np.cov(found.scores(iris).T), np.diag(found.variances), atol=1e-13)


def test_no_other_directions_reconstruct_better(iris, rng):
    Z = (iris - iris.mean(0)) / iris.std(0)

    def error(directions):
        return ((Z - Z @ directions.T @ directions) ** 2).sum()

    found = principal_components(iris, n_components=2)
    best = error(found.directions)
    assert best == pytest.approx(149 * (4 * 150 / 149 - found.variances.sum()), rel=1e-12)
    for _ in range(200):
        nearby = found.directions + rng.normal(size=(2, 4)) * rng.choice([0.01, 1.0])
        Q, _ = np.linalg.qr(nearby.T)
        assert error(Q.T) > best


def test_all_components_reconstruct_the_data_exactly(iris):
    for is_standardized in (True, False):
        found = principal_components(iris, is_standardized=is_standardized)
        np.testing.assert_allclose(found.reconstruct(found.scores(iris)), iris, atol=1e-13)
        assert found.shares.sum() == pytest.approx(1, rel=1e-14)


def test_the_plane_that_made_the_data_is_recovered(rng):
    plane, _ = np.linalg.qr(rng.normal(size=(10, 2)))
    X = rng.normal(size=(5_000, 2)) * [5.0, 3.0] @ plane.T + 0.1 * rng.normal(size=(5_000, 10))
    found = principal_components(X, 2, is_standardized=False)
    cosines = np.linalg.svd(found.directions @ plane, compute_uv=False)
    assert (cosines > 0.9999).all()
    np.testing.assert_allclose(np.sqrt(found.variances), [5.0, 3.0], rtol=0.05)


def test_units_do_not_matter_once_standardized_and_do_before(iris):
    units = np.array([1.0, 100.0, 0.01, 5.0])
    same = principal_components(iris), principal_components(iris * units + 3.0)
    np.testing.assert_allclose(same[0].directions, same[1].directions, atol=1e-12)
    raw = principal_components(iris * units, is_standardized=False)
    assert abs(raw.directions[0, 1]) > 0.999  # the feature in the smallest unit takes all


def test_signs_are_fixed_also_where_two_entries_are_equally_large(iris):
    found = principal_components(iris[:, [0, 2]])
    np.testing.assert_allclose(found.directions, [[1, 1], [1, -1]] / np.sqrt(2), atol=1e-12)
    flipped = principal_components(-iris)
    np.testing.assert_allclose(
        flipped.directions, principal_components(iris).directions, atol=1e-12
    )


@pytest.mark.bad_input
def test_bad_input_raises_with_the_cure(iris):
    with pytest.raises(ValueError, match="`n_components` must lie between 1 and 4"):
        principal_components(iris, 5)
    with pytest.raises(ValueError, match="column 0 is constant. Drop it"):
        principal_components(np.column_stack([np.ones(150), iris]))
    with pytest.raises(ValueError, match="`X` must vary"):
        principal_components(np.ones((5, 2)), is_standardized=False)
    with pytest.raises(ValueError, match="One feature"):
        principal_components(iris[:, 0])


def test_components_print_as_a_table(iris):
    assert repr(principal_components(iris)).splitlines()[1].split() == [
        "1", "1.714", "0.7296", "0.7296",
    ]  # fmt: skip
