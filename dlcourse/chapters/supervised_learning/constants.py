r"""Losses of one prediction, and what the best prediction under each is.

prediction  what is predicted, any shape         level  tau of a quantile, in (0, 1)
y           outcomes, broadcast against it       losses (...): one number an outcome
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar

from dlcourse.datasets import Lognormal
from dlcourse.losses import sigmoid
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


def squared(prediction, y):
    r"""Squared error.

    .. displayed:: eq-erm-squared

    Smallest on average at the mean.
    """
    return (y - prediction) ** 2


def absolute(prediction, y):
    r"""Absolute error.

    .. displayed:: eq-erm-absolute

    Smallest on average at a median.
    """
    return np.abs(y - prediction)


def pinball(prediction, y, level):
    r"""The quantile loss: a unit too little costs tau, a unit too much costs 1 - tau.

    .. displayed:: eq-erm-pinball

    Smallest on average at a tau-quantile. Reference: Koenker and Bassett (1978).

    >>> pinball(np.array([8.0, 12.0]), 10.0, level=0.9)
    array([1.8, 0.2])
    """
    short = y - prediction
    return np.maximum(level * short, (level - 1) * short)


def cross_entropy(score, y):
    r"""Cross-entropy of the probability that the score stands for; y is 0 or 1.

    .. displayed:: eq-erm-cross-entropy

    Smallest on average where p is the probability of y = 1. Computed from the score z, the log odds
    of p, so that a sure prediction overflows nothing.

    >>> round(float(cross_entropy(0.0, 1.0)), 4)
    0.6931
    """
    return np.logaddexp(0.0, score) - y * score


def best_constant(loss: Callable, y: Float[Array, " n"], low: float, high: float) -> float:
    """The one prediction with the smallest mean loss on `y`, by SciPy's bounded minimization.

    It looks between `low` and `high`, and needs a loss that is convex in the prediction.

    >>> round(best_constant(squared, np.array([1.0, 2.0, 6.0]), low=0.0, high=10.0), 6)
    3.0
    """
    found = minimize_scalar(
        lambda prediction: loss(prediction, y).mean(),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-9 * (1 + abs(low))},
    )
    return float(found.x)


@dataclass(frozen=True, repr=False)
class Targets(PrintsTable):
    """What the best constant is under each loss, and the property of the outcome that it tracks."""

    names: list[str]
    found: list[float]
    truths: dict[str, float]  # property of the outcome's distribution -> its value

    def prose(self) -> dict[str, str]:
        """The four true values, rounded as the chapter's text reads them."""
        mean, median, quantile, share = self.truths.values()
        return {
            "sl_mean": f"{mean:.0f}",
            "sl_median": f"{median:.0f}",
            "sl_quantile": f"{quantile:.0f}",
            "sl_share": f"{share:.0%}",
        }

    def table(self):
        # Three digits: near a quantile the loss is flat, and its minimizer shaky beyond them.
        return Table(
            {
                "loss": self.names,
                "best constant": [f"{value:.3g}" for value in self.found],
                "true": list(self.truths),
                "value": [f"{value:.3g}" for value in self.truths.values()],
            }
        )


def targets(truth: Lognormal, n: int, level: float, rng) -> Targets:
    """Best constants for n days on which the feature is zero, beside what demand truly is then.

    The last row asks whether demand exceeds its true mean, a yes or a no.
    """
    y = truth.quantile(0.0, rng.uniform(size=n))
    mean = truth.mean(0.0)
    found = [
        best_constant(squared, y, 0.0, y.max()),
        best_constant(absolute, y, 0.0, y.max()),
        best_constant(lambda f, y: pinball(f, y, level), y, 0.0, y.max()),
        sigmoid(best_constant(cross_entropy, (y > mean) * 1.0, -20.0, 20.0)),
    ]
    values = {
        "mean": mean,
        "median": truth.quantile(0.0, 0.5),
        f"{level:g}-quantile": truth.quantile(0.0, level),
        "P(Y > mean)": truth.exceeds(0.0, mean),
    }
    names = ["squared", "absolute", f"pinball, {level:g}", "cross-entropy"]
    return Targets(names, [float(f) for f in found], {k: float(v) for k, v in values.items()})
