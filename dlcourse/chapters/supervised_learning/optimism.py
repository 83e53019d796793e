r"""How far the error on the training data flatters.

X   features (n, p)      p     features in use, the column of ones among them
y   outcome (n,)         fold  which part of the data a row is left out with (n,)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.base import BaseEstimator
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from dlcourse.linear.least_squares import by_qr
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


class Linear(BaseEstimator):
    """A linear model for scikit-learn's `cross_val_predict`; `coefficients(X, y)` fits it.

    Neither scales nor adds an intercept: what goes in is what the formula says.
    """

    def __init__(self, coefficients: Callable):
        self.coefficients = coefficients

    def fit(self, X, y):
        self.beta = self.coefficients(X, y)
        return self

    def predict(self, X):
        return X @ self.beta


def least_squares(X, y) -> Float[Array, " p"]:
    """Coefficients of least squares."""
    return by_qr(X, y).beta


def held_out_predictions(coefficients, X: Float[Array, "n p"], y, fold) -> Float[Array, " n"]:
    """Prediction of each row by a linear model fitted without the rows of the same `fold`."""
    return cross_val_predict(Linear(coefficients), X, y, cv=PredefinedSplit(fold))


@dataclass(frozen=True, repr=False)
class NoiseFeatures(PrintsTable):
    """Least squares with more and more features that mean nothing."""

    n: int
    p: Int[Array, " fits"]
    training: Float[Array, " fits"]  # mean squared error on the rows that were fitted
    corrected: Float[Array, " fits"]  # with the optimism added that the theorem names
    held_out: Float[Array, " fits"]  # by cross-validation

    def prose(self) -> dict[str, str]:
        """The errors with the fewest and with the most features, as the text reads them."""
        return {
            "sl_training_first": f"{self.training[0]:.2f}",
            "sl_training_last": f"{self.training[-1]:.2f}",
            "sl_held_first": f"{self.held_out[0]:.2f}",
            "sl_held_last": f"{self.held_out[-1]:.2f}",
        }

    def table(self):
        shown = np.unique(np.linspace(0, len(self.p) - 1, 5).round().astype(int))
        columns = {
            "features": self.p,
            "training error": self.training,
            "corrected": self.corrected,
            "held out": self.held_out,
        }
        return Table({name: list(values[shown]) for name, values in columns.items()})


def add_noise_features(X: Float[Array, "n p"], y, n_noise: int, rng) -> NoiseFeatures:
    """Fit y on X and 0 to `n_noise` columns of random numbers; errors in shares of the variance.

    The noise variance in the correction is that of the fit without random columns. Raises
    `ValueError` where a part would have no more rows than features.
    """
    (n, p), n_folds = X.shape, 10
    if n - n // n_folds - 1 <= p + n_noise:
        raise ValueError(
            f"`n_noise` must leave more rows than features in each part: at most "
            f"{n - n // n_folds - 2 - p} for {n} rows and {p} features, got {n_noise}."
        )
    wide = np.hstack([X, rng.normal(size=(n, n_noise))])
    fold, y = rng.permutation(n) % n_folds, (y - y.mean()) / y.std()
    noise_variance = ((y - X @ least_squares(X, y)) ** 2).sum() / (n - p)
    sizes = np.unique(np.linspace(p, p + n_noise, 31).round().astype(int))
    training, held_out = [], []
    for size in sizes:
        Z = wide[:, :size]
        training.append(((y - Z @ least_squares(Z, y)) ** 2).mean())
        held_out.append(((y - held_out_predictions(least_squares, Z, y, fold)) ** 2).mean())
    training, held_out = np.array(training), np.array(held_out)
    corrected = training + optimism(noise_variance, sizes, n)
    return NoiseFeatures(n, sizes, training, corrected, held_out)


def optimism(noise_variance, p, n):
    r"""By how much the training error of least squares lies below its error on new outcomes.

    .. displayed:: eq-erm-optimism-linear

    Expected, for new outcomes y' at the same features. Reference: Mallows (1973).

    >>> optimism(noise_variance=4.0, p=5, n=100)
    0.4
    """
    return 2 * noise_variance * p / n


@dataclass(frozen=True, repr=False)
class Leak(PrintsTable):
    """Accuracy on coin flips, measured in the wrong way and in the right way."""

    wrong: Float[Array, " repeats"]  # features chosen with all rows, then cross-validated
    right: Float[Array, " repeats"]  # features chosen anew without each part
    fresh: Float[Array, " repeats"]  # of the chosen model on new rows

    def prose(self) -> dict[str, str]:
        """The mean accuracy with the selection outside and inside, as the text reads it."""
        return {"sl_leak": f"{self.wrong.mean():.0%}", "sl_honest": f"{self.right.mean():.0%}"}

    def table(self):
        rows = {
            "selected on all rows, then cross-validated": self.wrong,
            "selection inside cross-validation": self.right,
            "the selected model on new rows": self.fresh,
        }
        return Table(
            {
                "accuracy on coin flips": list(rows),
                "mean": [f"{accuracy.mean():.1%}" for accuracy in rows.values()],
                "lowest": [f"{accuracy.min():.0%}" for accuracy in rows.values()],
                "highest": [f"{accuracy.max():.0%}" for accuracy in rows.values()],
            }
        )


def select_then_validate(n: int, p: int, n_kept: int, rng) -> Leak:
    """Predict coin flips from the features that correlate with them most, out of p of pure noise.

    Outcomes are +1 and -1, fitted by least squares; the sign is the prediction.
    """
    results = []
    for _ in range(20):
        X, y = rng.normal(size=(2 * n, p)), rng.choice([-1.0, 1.0], size=2 * n)
        fold = rng.permutation(n) % 5

        def fit(X, y, columns=None):
            columns = strongest(X, y, n_kept) if columns is None else columns
            beta = np.zeros(p)
            beta[columns] = least_squares(X[:, columns], y)
            return beta

        seen = strongest(X[:n], y[:n], n_kept)
        wrong = held_out_predictions(lambda X, y, seen=seen: fit(X, y, seen), X[:n], y[:n], fold)
        right = held_out_predictions(fit, X[:n], y[:n], fold)
        fresh = X[n:] @ fit(X[:n], y[:n])
        predictions = np.stack([wrong * y[:n], right * y[:n], fresh * y[n:]])
        results.append((predictions > 0).mean(1))
    return Leak(*np.array(results).T)


def strongest(X: Float[Array, "n p"], y, n_kept: int) -> Int[Array, " n_kept"]:
    """The features whose correlation with the outcome is largest, in their order.

    >>> X = np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    >>> strongest(X, np.array([1.0, 2.0, 3.0]), n_kept=1)
    array([0])
    """
    centered = X - X.mean(0)
    correlation = np.abs(centered.T @ (y - y.mean())) / np.linalg.norm(centered, axis=0)
    return np.sort(np.argsort(correlation)[-n_kept:])
