"""Logit and lasso paths against scikit-learn, on one thread: `python benchmarks/linear_models.py`.

By default scikit-learn stops early, so each line is followed by one at its `tol=1e-8`, closer to
what ours delivers: the mean loss to 1e-12 of its minimum, the lasso to a duality gap of 1e-12.
scikit-learn is faster on large logits, and on wide lasso paths with nearly independent features:
there its cycles converge at once, while each of our fits solves a linear system.
"""

import warnings

import numpy as np
from pairs import one_thread, ratio, table
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, lasso_path

from dlcourse.linear import logistic, shrinkage
from dlcourse.losses import sigmoid


def logit_rows(rng, n, p, aim):
    """The maximum likelihood estimate, without a penalty."""
    X = rng.normal(size=(n, p))
    y = (rng.random(n) < sigmoid(X @ rng.normal(size=p) / np.sqrt(p))).astype(float)
    design = np.column_stack([np.ones(n), X])
    ours = logistic.by_newton(design, y).coefficients
    for label, options in [("lbfgs", {}), ("lbfgs, tol=1e-8", {"tol": 1e-8})]:
        theirs = LogisticRegression(C=np.inf, **options)
        fit = theirs.fit(X, y)
        np.testing.assert_allclose(ours, [*fit.intercept_, *fit.coef_[0]], atol=5e-3)
        reached = ratio(
            lambda: logistic.by_newton(design, y), lambda theirs=theirs: theirs.fit(X, y)
        )
        yield f"logit {n} x {p}", f"scikit-learn {label}", reached, aim


def lasso_rows(X, y, name, aim):
    """100 penalties, from the largest down to a thousandth of it; ours standardizes besides."""
    Z, centered = np.asfortranarray((X - X.mean(0)) / X.std(0)), y - y.mean()
    ours = shrinkage.path(X, y).standardized
    for label, options in [("lasso_path", {}), ("lasso_path, tol=1e-8", {"tol": 1e-8})]:
        theirs = lasso_path(Z, centered, **options)[1].T
        np.testing.assert_allclose(ours, theirs, atol=0.05 * np.abs(ours).max())
        reached = ratio(
            lambda: shrinkage.path(X, y),
            lambda options=options: lasso_path(Z, centered, **options),
        )
        yield f"lasso path {name}", f"scikit-learn {label}", reached, aim


def sparse_data(rng, correlation, n=1_000, p=200):
    own, common = rng.normal(size=(n, p)), rng.normal(size=(n, 1))
    X = np.sqrt(1 - correlation) * own + np.sqrt(correlation) * common
    return X, X[:, :20] @ rng.normal(size=20) + 3 * rng.normal(size=n)


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)  # scikit-learn's, on correlated features
    kernel, rng = one_thread(), np.random.default_rng(0)
    rows = [
        *logit_rows(rng, 1_000, 20, aim=0.4),
        *logit_rows(rng, 20_000, 50, aim=1.5),
        *lasso_rows(*load_diabetes(return_X_y=True), "442 x 10, diabetes", aim=0.5),
        *lasso_rows(*sparse_data(rng, 0.0), "1000 x 200, independent", aim=2.0),
        *lasso_rows(*sparse_data(rng, 0.5), "1000 x 200, correlated 0.5", aim=2.0),
    ]
    table(f"linear models, one thread, BLAS kernel {kernel}", rows)


if __name__ == "__main__":
    main()
