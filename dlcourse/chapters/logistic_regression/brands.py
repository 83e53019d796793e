r"""A scanner panel of two brands, in the manner of Guadagni and Little (1983).


price      price of brand A minus price of brand B      taste  a household's own liking of A
promotion  1 if only A is promoted, -1 if only B        share  smoothed share of A in the past
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.linear import logistic
from dlcourse.linear.logit_inference import standard_errors
from dlcourse.losses import sigmoid
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
BURN_IN = 20  # trips before the record begins, so that shares have settled


class Panel(NamedTuple):
    """Shopping trips, household after household within each week."""

    price: Float[Array, " n"]
    promotion: Float[Array, " n"]
    loyalty: Float[Array, " n"]  # smoothed share of A minus that of B, before the trip
    taste: Float[Array, " n"]  # which the analyst does not see
    bought_a: Float[Array, " n"]
    beta: Float[Array, " 3"]  # truth of price, promotion, loyalty

    def __repr__(self):
        return f"{len(self.bought_a):,} shopping trips, {self.bought_a.mean():.0%} of them to A"


def panel(
    n_households: int, n_weeks: int, beta: Float[Array, " 3"], rng, taste_sd=1.5, memory=0.875
) -> Panel:
    r"""One trip a week for each household, which buys A with the probability of a logit.

    .. displayed:: eq-logistic-choice-two, eq-logistic-loyalty

    The differences between A and B are those of price, promotion and loyalty; the taste of the
    household is added to the score. Loyalty to A is its share, which `memory` :math:`\alpha`
    updates after each trip; that to B is the rest. Raises `ValueError` unless the sizes are counts,
    `beta` is a vector and `rng` a generator.

    >>> panel(100, 32, np.array([-3.0, 1.0, 0.0]), np.random.default_rng(0))
    3,200 shopping trips, 51% of them to A
    """
    _checks.generator(rng)
    n_households = _checks.count(n_households, "n_households")
    n_weeks, beta = _checks.count(n_weeks, "n_weeks"), _checks.vector(beta, "beta")
    taste, share = taste_sd * rng.normal(size=n_households), np.full(n_households, 0.5)
    trips = []
    for _ in range(BURN_IN + n_weeks):
        price = rng.uniform(-0.5, 0.5, size=n_households)
        promotion = rng.choice([-1.0, 0.0, 1.0], p=[0.15, 0.7, 0.15], size=n_households)
        loyalty = 2 * share - 1
        score = taste + np.stack([price, promotion, loyalty], axis=1) @ beta
        bought_a = (rng.random(n_households) < sigmoid(score)).astype(float)
        trips.append((price, promotion, loyalty, taste, bought_a))
        share = memory * share + (1 - memory) * bought_a
    return Panel(*map(np.concatenate, zip(*trips[BURN_IN:], strict=True)), beta)


@dataclass(frozen=True, repr=False)
class Specifications(PrintsTable):
    """One panel, three logits that differ in what they know of the household."""

    truth: Float[Array, " 3"]
    coefficients: dict[str, Float[Array, " p"]]  # intercept, price, promotion, then what was added
    errors: dict[str, Float[Array, " p"]]

    def table(self):
        columns = {
            "coefficient": ["price", "promotion", "loyalty"],
            "truth": [f"{b:.2f}" for b in self.truth],
        }
        for name, b in self.coefficients.items():
            se = self.errors[name]
            b = b.round(2) + 0.0  # no -0.00
            cells = [f"{b[j]:.2f} ({se[j]:.2f})" for j in range(1, min(len(b), 4))]
            columns[name] = cells + ["not included"] * (3 - len(cells))
        return Table(columns)


def specifications(trips: Panel) -> Specifications:
    """Fit the logit without loyalty, with it, and with it and the true tastes."""
    ones = np.ones(len(trips.bought_a))
    columns = [ones, trips.price, trips.promotion, trips.loyalty, trips.taste]
    widths = {"marketing only": 3, "with loyalty": 4, "with loyalty and taste": 5}
    designs = {name: np.column_stack(columns[:width]) for name, width in widths.items()}
    fits = {name: logistic.by_newton(X, trips.bought_a).coefficients for name, X in designs.items()}
    errors = {name: standard_errors(X, fits[name]) for name, X in designs.items()}
    return Specifications(trips.beta, fits, errors)


def price_elasticity(beta_price: float, price: float, share: float) -> float:
    r"""Percent change of the probability of a brand for one percent more of its own price.

    .. displayed:: eq-logistic-elasticity

    `share` is the probability of the brand, Pr(A).

    >>> price_elasticity(-3.0, price=2.0, share=0.5)
    -3.0
    """
    return beta_price * price * (1 - share)
