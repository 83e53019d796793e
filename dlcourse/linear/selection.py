r"""Choosing k of p features: forward stepwise and best subset.

X    features (n, p), no column of ones    features  indices of the chosen columns
y    outcome (n,)                          rss       residual sum of squares, with an intercept

Forward stepwise is greedy: it never takes a feature back, so from two features on its choice need
not be the best of its size. Best subset looks at all of them, and pays with their number.
Whichever is used, cross-validation must wrap the selection: a model chosen on all the data has
seen the held-out part already.
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.linear.least_squares import units_of
from dlcourse.linear.shrinkage import standardize
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
MOST_SUBSETS = 1_000_000  # of one size: some ten seconds


@dataclass(frozen=True, repr=False, eq=False)
class Selection(PrintsTable):
    """The chosen features of each size k = 0, 1, ..., and what each leaves unexplained."""

    features: tuple[tuple[int, ...], ...]  # in the order of choice, or sorted for best subset
    rss: Float[Array, " sizes"]
    n: int

    def cp(self, noise_variance: float) -> Float[Array, " sizes"]:
        r"""Mallows' estimate of the prediction error of each size, k features and the intercept.

        .. math:: C_p = \tfrac1n (\mathrm{RSS} + 2 (k + 1) \hat\sigma^2)

        For Gaussian least squares with known variance it ranks as AIC does.
        Reference: Mallows (1973).
        """
        k = np.array([len(chosen) for chosen in self.features])
        return (self.rss + 2 * (k + 1) * noise_variance) / self.n

    def bic(self) -> Float[Array, " sizes"]:
        r"""Schwarz's criterion for Gaussian errors, up to a constant.

        .. math:: \mathrm{BIC} = n \log \frac{\mathrm{RSS}}{n} + (k + 1) \log n

        Reference: Schwarz (1978).
        """
        k = np.array([len(chosen) for chosen in self.features])
        return self.n * np.log(self.rss / self.n) + (k + 1) * np.log(self.n)

    def table(self):
        # Below 1e-12 of the total an RSS is rounding, and rounding differs between processors.
        shown = np.where(self.rss > 1e-12 * self.rss[0], self.rss, 0.0)
        return Table(
            {
                "size": [len(chosen) for chosen in self.features],
                "features": [" ".join(map(str, chosen)) for chosen in self.features],
                "RSS": [float(rss) for rss in shown],
                "R squared": [f"{1 - rss / self.rss[0]:.4f}" for rss in shown],
            }
        )


def rss(X: Float[Array, "n p"], y: Float[Array, " n"], features) -> float:
    """Residual sum of squares of the least squares fit on these columns and an intercept.

    Raises `ValueError` unless `X` and `y` are regression data of finite numbers.

    >>> rss(np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0]), features=())
    8.0
    """
    X, y = _checks.regression_data(X, y)
    design = np.column_stack([np.ones(len(X)), X[:, list(features)]])
    design = design / units_of(design)  # or `lstsq` drops a column of small numbers
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(residual @ residual)


def forward_stepwise(
    X: Float[Array, "n p"], y: Float[Array, " n"], size: int | None = None
) -> Selection:
    r"""Start from the intercept and add, one at a time, the feature that lowers the RSS most.

    .. math:: \mathrm{RSS}(M) - \mathrm{RSS}(M \cup \{j\})
              = \frac{(r^\top \tilde x_j)^2}{\lVert \tilde x_j \rVert^2}

    Here M are the chosen features, r their residuals and :math:`\tilde x_j` the part of feature j
    that they do not explain: the j for which this is largest comes next. After each choice its
    direction is taken out of all the others, so no regression is ever run. Raises `ValueError`
    where fewer than `size` features are linearly independent.

    >>> X = np.array([[1.0, 1.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, -1.0]])
    >>> forward_stepwise(X, np.array([3.0, -1.0, 1.0, -3.0]))
    size  features  RSS  R squared
       0             20  0.0000
       1  1           2  0.9000
       2  1 0         0  1.0000
    """
    X, y = _checks.regression_data(X, y)
    size = _check_size(X, size)
    left, r = standardize(X).Z, y - y.mean()
    chosen, errors = [], [r @ r]
    for _ in range(size):
        squares = (left**2).sum(0)
        is_new = squares > 1e-12 * len(y)  # what is left of a dependent column is rounding
        is_new[chosen] = False
        if not is_new.any():
            raise ValueError(
                f"`X` has only {len(chosen)} linearly independent features, asked for {size}. "
                "Drop redundant columns or lower `size`."
            )
        gains = np.divide((r @ left) ** 2, squares, out=np.zeros_like(squares), where=is_new)
        best = int(np.where(is_new, gains, -1.0).argmax())
        q = left[:, best] / np.sqrt(squares[best])
        left, r = left - np.outer(q, q @ left), r - q * (q @ r)
        chosen.append(best)
        errors.append(r @ r)
    return Selection(tuple(tuple(chosen[:k]) for k in range(size + 1)), np.array(errors), len(y))


def best_subset(
    X: Float[Array, "n p"], y: Float[Array, " n"], size: int | None = None
) -> Selection:
    r"""The features with the smallest RSS among all subsets, for each size up to `size`.

    Solves the normal equations of all subsets of one size at once, on standardized columns, so the
    columns of X should be well short of collinear. There are :math:`\binom pk` of them. Raises
    `ValueError` where that means more than `MOST_SUBSETS` subsets of one size.

    >>> X = np.array([[1.0, 1.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, -1.0]])
    >>> best_subset(X, np.array([3.0, -1.0, 1.0, -3.0]), size=1).features
    ((), (1,))
    """
    X, y = _checks.regression_data(X, y)
    size = _check_size(X, size)
    p = X.shape[1]
    worst = max(range(size + 1), key=lambda k: comb(p, k))
    if comb(p, worst) > MOST_SUBSETS:
        raise ValueError(
            f"`size` {size} of {p} features means {comb(p, worst):,} subsets of size {worst}, more "
            f"than {MOST_SUBSETS:,}. Lower `size`, or use `forward_stepwise` or the lasso."
        )
    Z = standardize(X).Z
    gram, moments = Z.T @ Z / len(y), (y - y.mean()) @ Z  # gram holds the correlations
    best = [_best_of_size(gram, moments, k) for k in range(size + 1)]
    return Selection(tuple(best), np.array([rss(X, y, M) for M in best]), len(y))


def _best_of_size(gram, moments, k):
    """The k columns that explain most: c_M' G_MM^{-1} c_M, in blocks that fit in memory."""
    best, most = (), -np.inf
    subsets = combinations(range(len(moments)), k)
    while block := [M for M, _ in zip(subsets, range(10_000), strict=False)]:
        M = np.array(block, dtype=int)  # (block, k)
        c = moments[M]
        among = gram[M[:, :, None], M[:, None, :]]  # (block, k, k)
        if np.linalg.det(among).min() < 1e-12:  # 1 for unrelated columns, 0 for dependent ones
            raise ValueError(
                f"`best_subset` needs every {k} columns of `X` to be linearly independent: equal "
                "fits have no best. Drop redundant columns."
            )
        b = np.linalg.solve(among, c[..., None])[..., 0]
        explained = (b * c).sum(-1)
        if explained.max() > most:
            best, most = tuple(M[explained.argmax()].tolist()), explained.max()
    return best


def _check_size(X, size):
    n, p = X.shape
    limit = min(p, n - 1)
    size = limit if size is None else _checks.count(size, "size", least=0)
    if not 0 <= size <= limit:
        raise ValueError(
            f"`size` must lie between 0 and {limit} for {n} rows and {p} features, got {size}: "
            "with the intercept, no more coefficients than rows."
        )
    return size
