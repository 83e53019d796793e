r"""How much to order before demand is known, learned from data.

x       feature of a day (n,)              price, cost   of one unit, in dollars; cost < price
y       demand of a day, in units (n,)     order         units bought in the morning (n,)
level   the critical ratio (price - cost) / price
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.polynomial.legendre import leggauss
from scipy.optimize import linprog

from dlcourse.datasets import DemandData, Lognormal
from dlcourse.linear.least_squares import by_qr
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


class Product(NamedTuple):
    """A good that is bought in the morning, sold during the day, and worthless at night."""

    price_usd: float
    cost_usd: float

    @property
    def level(self) -> float:
        r"""The quantile of demand that is worth ordering.

        .. displayed:: eq-erm-critical-ratio

        >>> Product(price_usd=5.0, cost_usd=1.0).level
        0.8
        """
        return (self.price_usd - self.cost_usd) / self.price_usd

    def expected_loss(self, truth: Lognormal, x, order):
        """Dollars a day lost, on average, against knowing demand in advance: in closed form."""
        short = truth.expected_shortfall(x, order)
        left_over = order - truth.mean(x) + short
        return (self.price_usd - self.cost_usd) * short + self.cost_usd * left_over


def features(x: Float[Array, " n"]) -> Float[Array, "n p"]:
    """The columns 1, x, x^2 of a decision rule that is linear in its coefficients."""
    return np.vander(x, 3, increasing=True)


def fit_quantile(X: Float[Array, "n p"], y: Float[Array, " n"], level) -> Float[Array, " p"]:
    r"""Coefficients with the smallest mean pinball loss, by linear programming.

    .. displayed:: eq-erm-linear-program

    s is what is short and o what is left over. Reference: Koenker and Bassett (1978).

    >>> fit_quantile(np.ones((5, 1)), np.array([1.0, 2.0, 3.0, 4.0, 50.0]), level=0.5)
    array([3.])
    """
    n, p = X.shape
    costs = np.concatenate([np.zeros(p), np.full(n, level / n), np.full(n, (1 - level) / n)])
    balance = np.hstack([X, np.eye(n), -np.eye(n)])
    bounds = [(None, None)] * p + [(0, None)] * (2 * n)
    return linprog(costs, A_eq=balance, b_eq=y, bounds=bounds, method="highs").x[:p]


@dataclass(frozen=True, repr=False)
class Orders(PrintsTable):
    """Rules for ordering, their orders over the feature, and what each loses."""

    x: Float[Array, " grid"]
    orders: dict[str, Float[Array, " grid"]]
    losses_usd: dict[str, float]  # a day, against knowing demand

    @property
    def excess_usd(self) -> dict[str, float]:
        """Dollars a day lost against the best rule there is, the true quantile: the last one."""
        best = list(self.losses_usd.values())[-1]
        return {name: loss - best for name, loss in self.losses_usd.items()}

    def prose(self) -> dict[str, str]:
        """Dollars a day that three of the rules waste, rounded as the chapter's text reads them."""
        return {
            "sl_direct": f"{self.excess_usd['smallest empirical risk']:.2f}",
            "sl_two_stage": f"{self.excess_usd['predicted mean + safety stock']:.2f}",
            "sl_forecast": f"{self.excess_usd['predicted mean']:.2f}",
        }

    def table(self):
        return Table(
            {
                "rule": list(self.orders),
                "lost, $ a day": [f"{loss:.2f}" for loss in self.losses_usd.values()],
                "of it avoidable": [f"{excess:.2f}" for excess in self.excess_usd.values()],
            }
        )


def profits_by_rule(data: DemandData, product: Product) -> Orders:
    """Four rules learned from the same days, and the true quantile, priced exactly."""
    X, truth, level = features(data.x), data.truth, product.level
    x, weights = leggauss(50)
    grid = features(x)
    mean_rule = by_qr(X, data.y).beta
    margin = np.quantile(data.y - X @ mean_rule, level)
    orders = {
        "predicted mean": grid @ mean_rule,
        "predicted mean + safety stock": grid @ mean_rule + margin,
        "quantile of all days": np.full_like(x, np.quantile(data.y, level)),
        "smallest empirical risk": grid @ fit_quantile(X, data.y, level),
        "the true quantile": truth.quantile(x, level),
    }
    orders = {name: np.maximum(order, 1e-9) for name, order in orders.items()}
    losses = {
        name: float(product.expected_loss(truth, x, order) @ weights / 2)
        for name, order in orders.items()
    }
    return Orders(x, orders, losses)
