import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet, Lasso, Ridge, lasso_path
from sklearn.preprocessing import StandardScaler

from dlcourse.gradcheck import numerical_gradient
from dlcourse.linear import least_squares, shrinkage
from dlcourse.linear.coordinate_descent import (
    Problem,
    coordinate_cycle,
    duality_gap,
    soft_threshold,
)

RATIOS = [1.0, 0.5, 0.05]


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X * np.geomspace(1, 1e3, 10) + 5.0, y  # units and origins must not matter


@pytest.fixture
def sparse(rng):
    """120 observations, 30 features of which 5 matter."""
    X, beta = rng.normal(size=(120, 30)), np.zeros(30)
    beta[[3, 8, 11, 20, 29]] = [3.0, -2.0, 1.0, 1.5, -1.0]
    return X, X @ beta + rng.normal(size=120), beta


def objective(X, y, b, lam, l1_ratio):
    """J as the page writes it, from the data themselves."""
    Z = (X - X.mean(0)) / X.std(0)
    fit = ((y - y.mean() - Z @ b) ** 2).sum() / (2 * len(y))
    return fit + lam * (l1_ratio * np.abs(b).sum() + (1 - l1_ratio) / 2 * (b**2).sum())


def violation(X, y, b, lam, l1_ratio):
    """Largest distance of any coordinate from its optimality condition."""
    Z = (X - X.mean(0)) / X.std(0)
    slopes = Z.T @ (y - y.mean() - Z @ b) / len(y) - lam * (1 - l1_ratio) * b
    at_zero = np.maximum(np.abs(slopes) - lam * l1_ratio, 0.0)
    return np.where(b == 0, at_zero, np.abs(slopes - lam * l1_ratio * np.sign(b))).max()


# (a) Are the optimality conditions met?


@pytest.mark.parametrize("l1_ratio", [*RATIOS, 0.0])
def test_every_fit_meets_the_optimality_conditions(diabetes, sparse, l1_ratio):
    for X, y in (diabetes, sparse[:2]):
        lams = np.geomspace(1, 1e-3, 20) * np.abs(y - y.mean()).mean()
        found = shrinkage.elastic_net(X, y, lams, l1_ratio)
        for lam, b in zip(lams, found.standardized, strict=True):
            assert violation(X, y, b, lam, l1_ratio) < 1e-11 * y.std()


@pytest.mark.parametrize("l1_ratio", [*RATIOS, 0.0])
def test_the_duality_gap_bounds_the_distance_from_the_minimum(sparse, rng, l1_ratio):
    X, y, _ = sparse
    lam = 0.3
    found = shrinkage.elastic_net(X, y, lam, l1_ratio)
    least = objective(X, y, found.standardized, lam, l1_ratio)
    assert abs(found.gap) < 1e-13 * y.var()
    Z = (X - X.mean(0)) / X.std(0)
    problem = Problem(Z.T @ Z / 120, Z.T @ (y - y.mean()) / 120, y.var(), l1_ratio)
    for size in (1e-3, 1e-1, 10.0):
        other = found.standardized + size * rng.normal(size=30)
        excess = objective(X, y, other, lam, l1_ratio) - least
        assert 0 < excess <= duality_gap(problem, other, lam) * (1 + 1e-12)


@pytest.mark.parametrize("l1_ratio", [*RATIOS, 0.0])
def test_plain_cycles_of_coordinate_descent_reach_the_same_minimizer(sparse, l1_ratio):
    X, y, _ = sparse
    Z = (X - X.mean(0)) / X.std(0)
    problem = Problem(Z.T @ Z / 120, Z.T @ (y - y.mean()) / 120, y.var(), l1_ratio)
    b, values = np.zeros(30), []
    for _ in range(300):
        values.append(objective(X, y, b, 0.2, l1_ratio))
        coordinate_cycle(problem, b, 0.2, np.arange(30))
    assert (np.diff(values) <= 1e-14).all()  # no cycle ever goes up
    found = shrinkage.elastic_net(X, y, 0.2, l1_ratio)
    np.testing.assert_allclose(b, found.standardized, atol=1e-12)


def test_soft_threshold_is_the_minimizer_it_claims_to_be():
    u, candidates = np.linspace(-3, 3, 41), np.linspace(-4, 4, 8001)
    J = (candidates - u[:, None]) ** 2 / 2 + 0.7 * np.abs(candidates)
    np.testing.assert_allclose(soft_threshold(u, 0.7), candidates[J.argmin(1)], atol=1e-3)


# (b) Does a trusted library agree?


@pytest.mark.erratum("E39")  # the slide's formulas: X standardized, the intercept unpenalized
@pytest.mark.parametrize("lam", [1e-3, 0.1, 10.0])
def test_ridge_in_closed_form_is_what_the_solvers_find(diabetes, lam):
    X, y = diabetes
    ours = shrinkage.ridge(X, y, lam)
    Z = StandardScaler().fit_transform(X)
    theirs = Ridge(alpha=len(y) * lam, solver="svd", tol=1e-14).fit(Z, y)  # alpha is n lam
    size = np.abs(ours.standardized).max()
    np.testing.assert_allclose(ours.standardized, theirs.coef_, atol=1e-12 * size)
    np.testing.assert_allclose(
        ours.standardized, shrinkage.elastic_net(X, y, lam, 0.0).standardized, atol=1e-12 * size
    )
    np.testing.assert_allclose(ours.predict(X), theirs.predict(Z), rtol=1e-11)
    gradient = numerical_gradient(lambda b: (objective(X, y, b, lam, 0.0), None), ours.standardized)
    assert np.abs(gradient).max() < 1e-6 * y.var()


@pytest.mark.erratum("E39")  # as printed, nothing says that the data must be prepared
def test_without_standardization_ridge_depends_on_the_units(diabetes):
    X, y = diabetes

    def printed(X):
        """RSS + lam |beta|^2 with the intercept penalized like the rest."""
        design = np.column_stack([np.ones(len(X)), X])
        beta = np.linalg.solve(design.T @ design + np.eye(11), design.T @ y)
        return design @ beta

    metric, imperial = X, X / np.linspace(1, 30, 10)
    assert np.abs(printed(metric) - printed(imperial)).max() > 1.0
    ours = [shrinkage.ridge(units, y, lam=0.1).predict(units) for units in (metric, imperial)]
    np.testing.assert_allclose(*ours, rtol=1e-12)
    assert np.abs(printed(X).mean() - y.mean()) > 1e-3  # the intercept was pulled toward zero
    assert shrinkage.ridge(X, y, lam=0.1).predict(X).mean() == pytest.approx(y.mean(), rel=1e-12)


@pytest.mark.parametrize("l1_ratio", RATIOS)
def test_lasso_and_elastic_net_agree_with_sklearn_at_alpha_lam(diabetes, sparse, l1_ratio):
    for X, y in (diabetes, sparse[:2]):
        Z, lam = StandardScaler().fit_transform(X), 0.05 * y.std()
        theirs = ElasticNet(alpha=lam, l1_ratio=l1_ratio, tol=1e-14, max_iter=100_000).fit(Z, y)
        ours = shrinkage.elastic_net(X, y, lam, l1_ratio)
        np.testing.assert_allclose(ours.standardized, theirs.coef_, atol=1e-6 * y.std())
        np.testing.assert_allclose(ours.beta, theirs.coef_ / X.std(0), rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(ours.predict(X), theirs.predict(Z), rtol=1e-4, atol=1e-5)


def test_the_lasso_is_the_elastic_net_with_ratio_one(sparse):
    X, y, _ = sparse
    theirs = Lasso(alpha=0.1, tol=1e-14).fit(StandardScaler().fit_transform(X), y)
    ours = shrinkage.lasso(X, y, 0.1)
    np.testing.assert_allclose(ours.standardized, theirs.coef_, atol=1e-8)
    np.testing.assert_array_equal(
        ours.standardized, shrinkage.elastic_net(X, y, 0.1, 1.0).standardized
    )


def test_the_lasso_path_agrees_with_sklearn(diabetes):
    X, y = diabetes
    Z = StandardScaler().fit_transform(X)
    lams, theirs, _ = lasso_path(Z, y - y.mean(), tol=1e-14, max_iter=1_000_000)
    ours = shrinkage.path(X, y)
    np.testing.assert_allclose(ours.lam, lams, rtol=1e-12)
    np.testing.assert_allclose(ours.standardized, theirs.T, atol=1e-5)
    assert ours.gap.max() < 1e-13 * y.var()


# (c) Do we recover a known truth?


def test_on_orthonormal_features_the_solutions_are_the_textbook_ones(rng):
    Q, _ = np.linalg.qr(np.column_stack([np.ones(50), rng.normal(size=(50, 6))]))
    Z = Q[:, 1:] * np.sqrt(50)  # centered, Z'Z = n I
    y = rng.normal(size=50)
    ols = Z.T @ y / 50
    np.testing.assert_allclose(
        shrinkage.lasso(Z, y, 0.1).beta, soft_threshold(ols, 0.1), atol=1e-14
    )
    np.testing.assert_allclose(shrinkage.ridge(Z, y, 0.1).beta, ols / 1.1, atol=1e-14)


def test_the_lasso_recovers_which_features_matter(rng):
    X = rng.normal(size=(2_000, 100))
    beta = np.where(np.arange(100) % 20 == 0, 2.0, 0.0)
    y = X @ beta + rng.normal(size=2_000)
    found = shrinkage.lasso(X, y, lam=0.15)
    np.testing.assert_array_equal(found.beta != 0, beta != 0)


def test_without_much_penalty_ridge_is_least_squares(sparse):
    X, y, _ = sparse
    ols = least_squares.by_qr(np.column_stack([np.ones(120), X]), y).beta
    found = shrinkage.ridge(X, y, 1e-12)
    np.testing.assert_allclose([found.intercept, *found.beta], ols, atol=1e-9)


@pytest.mark.erratum("E36")  # "shrink to 0" is the lasso's: ridge shrinks all and zeroes none
def test_ridge_zeroes_nothing_and_the_lasso_everything_in_turn(diabetes):
    X, y = diabetes
    for lam_of_the_slide in np.geomspace(1e-2, 1e4, 25):  # RSS + lam |beta|^2
        assert shrinkage.ridge(X, y, lam_of_the_slide / len(y)).n_active == 10
    counts = shrinkage.path(X, y, n_lams=1_000, ratio=1e-4).n_active
    assert counts[0] == 0
    assert counts[-1] == 10
    assert set(counts) == set(range(11))
    norms = [np.linalg.norm(shrinkage.ridge(X, y, lam).standardized) for lam in (0.01, 0.1, 1.0)]
    assert (np.diff(norms) < 0).all()


# (d) What must not change the answer?


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_units_and_origins_of_features_do_not_matter(sparse, rng, l1_ratio):
    X, y, _ = sparse
    units, origins = np.exp(rng.normal(size=30)), rng.normal(size=30)
    plain = shrinkage.elastic_net(X, y, 0.2, l1_ratio)
    moved = shrinkage.elastic_net(X * units + origins, y + 7.0, 0.2, l1_ratio)
    np.testing.assert_allclose(moved.beta * units, plain.beta, atol=1e-12)
    np.testing.assert_allclose(
        moved.predict(X * units + origins), plain.predict(X) + 7.0, atol=1e-11
    )


def test_a_penalty_per_observation_keeps_its_meaning_when_the_data_are_doubled(sparse):
    X, y, _ = sparse
    once = shrinkage.lasso(X, y, 0.2)
    twice = shrinkage.lasso(np.vstack([X, X]), np.concatenate([y, y]), 0.2)
    np.testing.assert_allclose(once.beta, twice.beta, atol=1e-13)


def test_a_path_is_its_single_fits(sparse):
    X, y, _ = sparse
    along = shrinkage.path(X, y, n_lams=20)
    assert along.n_active[0] == 0
    assert along.predict(X).shape == (20, 120)
    for k, lam in enumerate(along.lam):
        alone = shrinkage.lasso(X, y, lam)
        np.testing.assert_allclose(along.beta[k], alone.beta, atol=1e-12)
        assert along.intercept[k] == pytest.approx(alone.intercept, abs=1e-12)


def test_the_largest_penalty_is_where_the_first_feature_comes_in(sparse):
    X, y, _ = sparse
    for l1_ratio in RATIOS:
        largest = shrinkage.largest_lam(X, y, l1_ratio)
        assert shrinkage.elastic_net(X, y, 1.0001 * largest, l1_ratio).n_active == 0
        assert shrinkage.elastic_net(X, y, 0.9999 * largest, l1_ratio).n_active == 1


def test_more_features_than_observations_and_copies_are_solved(rng):
    X = rng.normal(size=(30, 60))
    X[:, 59] = X[:, 0]
    y = X[:, :3].sum(1) + 0.1 * rng.normal(size=30)
    for l1_ratio in RATIOS:
        found = shrinkage.path(X, y, l1_ratio, n_lams=20, ratio=0.05)
        assert found.gap.max() <= 1e-12 * y.var()
        for lam, b in zip(found.lam, found.standardized, strict=True):
            assert violation(X, y, b, lam, l1_ratio) < 1e-5
    elastic = shrinkage.elastic_net(X, y, 0.1, 0.5)
    assert elastic.beta[0] == pytest.approx(elastic.beta[59], abs=1e-10)  # copies share


@pytest.mark.parametrize(("n", "p", "correlation"), [(200, 199, 0.99), (50, 200, 0.9)])
def test_nearly_dependent_columns_are_solved(n, p, correlation, rng):
    """Where signs change often along the path, and sets of columns become redundant."""
    own, common = rng.normal(size=(n, p)), rng.normal(size=(n, 1))
    X = np.sqrt(1 - correlation) * own + np.sqrt(correlation) * common
    X[:, 1], X[:, 3] = X[:, 0], -2 * X[:, 2]
    y = X[:, :5].sum(1) + rng.normal(size=n)
    assert shrinkage.path(X, y).gap.max() <= 1e-12 * y.var()


# Bad input and printing


@pytest.mark.bad_input
def test_bad_input_raises_with_the_cure(sparse):
    X, y, _ = sparse
    with pytest.raises(ValueError, match="column 0 is constant. Drop it"):
        shrinkage.ridge(np.column_stack([np.ones(120), X]), y, 0.1)
    with pytest.raises(ValueError, match="`least_squares.by_qr`"):
        shrinkage.lasso(X, y, 0.0)
    with pytest.raises(ValueError, match=r"`lam` must be a positive number, or several"):
        shrinkage.lasso(X, y, -1.0)
    with pytest.raises(ValueError, match=r"`l1_ratio` must lie in \[0, 1\]"):
        shrinkage.elastic_net(X, y, 0.1, 1.5)
    with pytest.raises(ValueError, match="Give `elastic_net` or `ridge` the penalties"):
        shrinkage.path(X, y, l1_ratio=0.0)
    with pytest.raises(ValueError, match="`ratio` must lie between 0 and 1"):
        shrinkage.path(X, y, ratio=2.0)
    with pytest.raises(ValueError, match=r"`y.ravel\(\)`"):
        shrinkage.ridge(X, y[:, None], 0.1)
    with pytest.raises(ValueError, match="`y` must vary"):
        shrinkage.ridge(X, np.full(120, 3.1), 0.1)


def small_wide_designs(rng, n_designs):
    """Integer designs with few rows: columns repeat, and are combinations of others."""
    while n_designs:
        n, p = rng.integers(2, 7), rng.integers(2, 12)
        X, y = rng.integers(-3, 4, size=(n, p)), rng.integers(-3, 4, size=n)
        X = X[:, X.std(0) > 0]
        if X.size and y.std() > 0:
            n_designs -= 1
            yield X, y


@pytest.mark.filterwarnings("error")
@pytest.mark.converted
def test_small_wide_integer_designs_are_solved_to_the_optimality_conditions(rng):
    for X, y in small_wide_designs(rng, 3_000):
        lam = float(rng.choice([0.5, 0.2, 0.05, 1e-3, 1e-6]))
        for l1_ratio in (1.0, 0.999999, 0.5, 0.0):
            found = shrinkage.elastic_net(X, y, lam, l1_ratio)
            assert violation(X, y, found.standardized, lam, l1_ratio) < 1e-10 * y.std()
        ridge = shrinkage.ridge(X, y, lam)
        np.testing.assert_allclose(ridge.standardized, found.standardized, atol=1e-7)


@pytest.mark.filterwarnings("error")
@pytest.mark.converted
def test_paths_of_designs_with_twins_meet_the_optimality_conditions(rng):
    for X, y in small_wide_designs(rng, 200):
        X = np.column_stack([X, X[:, ::-1], -2 * X[:, 0]])
        found = shrinkage.path(X, y, n_lams=20, ratio=1e-4)
        for lam, b in zip(found.lam, found.standardized, strict=True):
            assert violation(X, y, b, lam, 1.0) < 1e-10 * y.std()


@pytest.mark.converted
def test_the_design_that_broke_cholesky_is_solved():
    X = np.array([[-1, 3, 1, 3], [-3, 0, -3, -1], [2, 3, 1, 3]])
    found = shrinkage.lasso(X, np.array([-2, 1, 2]), 0.2)
    assert violation(X, np.array([-2, 1, 2]), found.standardized, 0.2, 1.0) < 1e-14


@pytest.mark.converted
def test_data_may_be_lists_tables_or_integers_and_counts_may_not_be_floats(rng):
    X, y = rng.integers(-5, 6, size=(30, 3)), rng.integers(-5, 6, size=30)
    expected = shrinkage.lasso(X.astype(float), y.astype(float), 0.1)
    index = rng.permutation(30)
    found = shrinkage.lasso(pd.DataFrame(X, index=index), pd.Series(y, index=index), 0.1)
    np.testing.assert_allclose(found.beta, expected.beta, rtol=1e-12)
    np.testing.assert_allclose(found.predict(X.tolist()), expected.predict(X), rtol=1e-12)
    with pytest.raises(ValueError, match=r"`n_lams` must be a whole number.*Use `int\(10.0\)`"):
        shrinkage.path(X, y, n_lams=10.0)


@pytest.mark.bad_input
def test_ridge_takes_one_penalty_for_all(rng):
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    with pytest.raises(ValueError, match="`lam` must be a positive number"):
        shrinkage.ridge(X, y, lam=np.array([0.1, 0.2, 0.3]))
    several = shrinkage.elastic_net(X, y, [0.3, 0.1], l1_ratio=0)
    np.testing.assert_allclose(several.beta[1], shrinkage.ridge(X, y, 0.1).beta, rtol=1e-12)


def test_units_of_columns_decide_nothing(rng):
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    units = np.array([1e-100, 1.0, 1e100])
    for fit in (shrinkage.lasso, shrinkage.ridge):
        np.testing.assert_allclose(fit(X * units, y, 0.1).beta * units, fit(X, y, 0.1).beta)


def test_a_large_tolerance_stops_early_and_within_itself(rng):
    X = rng.normal(size=(100, 60)) + 2 * rng.normal(size=(100, 1))
    y = X[:, :20].sum(1) + 10 * rng.normal(size=100)
    for tolerance in (1e-2, 1e-3, 1e-4):
        gap = shrinkage.path(X, y, tolerance=tolerance).gap.max() / y.var()
        assert 1e-9 < gap <= tolerance
    alone = shrinkage.lasso(X, y, 0.1, tolerance=1e-2)
    assert 1e-9 < alone.gap / y.var() <= 1e-2


def test_a_gap_that_stays_is_said(rng, monkeypatch):
    monkeypatch.setattr("dlcourse.linear.coordinate_descent.MAX_ROUNDS", 1)
    X = rng.normal(size=(50, 20)) + 5 * rng.normal(size=(50, 1))
    with pytest.warns(RuntimeWarning, match="Raise `tolerance`"):
        found = shrinkage.lasso(X, X @ rng.normal(size=20), 1e-3)
    assert found.gap > 1e-12


def test_fits_and_paths_print_themselves(sparse):
    X, y, _ = sparse
    assert repr(shrinkage.path(X, y)).startswith("lasso path: 100 penalties from")
    assert repr(shrinkage.ridge(X, y, 0.5)).startswith(
        "ridge at lam = 0.5: 30 of 30 coefficients not zero\nintercept = "
    )
    assert repr(shrinkage.elastic_net(X, y, 0.5, 0.25)).startswith("elastic net (0.25) at lam")


def test_a_planted_error_breaks_the_optimality_conditions(sparse):  # (e)
    X, y, _ = sparse
    found = shrinkage.lasso(X, y, 0.2)
    assert violation(X, y, 1.001 * found.standardized, 0.2, 1.0) > 1e-4
