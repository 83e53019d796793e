r"""What least squares estimates do over repeated samples.

X     design matrix (n, p), held fixed      noise_sd  standard deviation sigma of the errors
beta  true coefficients (p,)                z         quantile of the standard normal
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.linear import least_squares
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


@dataclass(frozen=True, repr=False)
class Repeated(PrintsTable):
    """Least squares estimates over many samples of the errors, beside what the formulas say."""

    beta: Float[Array, " p"]  # the truth
    estimates: Float[Array, "n_draws p"]
    formula_sd: Float[Array, " p"]  # square roots of the diagonal of sigma^2 (X'X)^{-1}

    @property
    def bias(self):
        return self.estimates.mean(0) - self.beta

    @property
    def sd(self):
        return self.estimates.std(0, ddof=1)

    @property
    def coverage(self):
        """Share of samples whose 95% interval, with known sigma, holds the truth."""
        error = np.abs(self.estimates - self.beta)
        return (error <= _z(0.975) * self.formula_sd).mean(0)

    def prose(self) -> dict[str, str]:
        """How far the samples are from the formulas, and how much harder a slope is to learn than
        the intercept, the first coefficient.
        """
        return {
            "ls_n_draws": f"{len(self.estimates):,}",
            "ls_worst_bias": f"{np.abs(self.bias).max():.3f}",
            "ls_worst_sd": f"{np.abs(self.sd / self.formula_sd - 1).max():.1%}",
            "ls_inflation": f"{self.formula_sd[1:].max() / self.formula_sd[0]:.1f}",
        }

    def table(self):
        columns = {
            "truth": self.beta,
            "mean": self.estimates.mean(0),
            "sd": self.sd,
            "formula sd": self.formula_sd,
            "coverage": self.coverage,
        }
        names = {"beta": [f"[{j}]" for j in range(len(self.beta))]}
        return Table(names | {name: [f"{v:.3f}" for v in c] for name, c in columns.items()})


def repeat(
    X: Float[Array, "n p"], beta: Float[Array, " p"], noise_sd: float, n_draws: int, rng
) -> Repeated:
    r"""Draw y = X beta + noise again and again, and fit each draw.

    The estimates should have mean beta and covariance :math:`\sigma^2 (X^\top X)^{-1}`. Raises
    `ValueError` unless `X` is a matrix, `beta` a vector, `noise_sd` 0 or more, `n_draws` a count
    and `rng` a generator.
    Book: eq. `eq-sampling-mean`, `eq-sampling-variance`.

    >>> X = np.column_stack([np.ones(50), np.linspace(-1.0, 1.0, 50)])
    >>> repeat(X, np.array([1.0, 2.0]), 0.5, n_draws=2000, rng=np.random.default_rng(0))
    beta  truth  mean   sd     formula sd  coverage
    [0]   1.000  1.000  0.072  0.071       0.951
    [1]   2.000  2.005  0.119  0.120       0.953
    """
    _checks.generator(rng)
    X, beta = _checks.design_matrix(X), _checks.vector(beta, "beta")
    _checks.not_negative(noise_sd, "noise_sd")
    n_draws = _checks.count(n_draws, "n_draws")
    outcomes = X @ beta + noise_sd * rng.normal(size=(n_draws, len(X)))
    estimates = np.stack([least_squares.by_qr(X, y).beta for y in outcomes])
    return Repeated(beta, estimates, np.sqrt(np.diag(least_squares.covariance(X, noise_sd))))


class Campaign(NamedTuple):
    """An advertising campaign to be judged by an experiment on people, half of them shown the ad.

    Sales per person have standard deviation `sales_sd_usd`; the ad costs `cost_usd` a person;
    `margin` of each extra dollar of sales is profit. The return on investment is
    margin * effect / cost - 1, where the effect is the coefficient of the ad dummy.
    """

    sales_sd_usd: float
    cost_usd: float
    margin: float

    def effect(self, roi: float) -> float:
        """Extra sales in dollars a person that make the return `roi`. Book: eq. `eq-ad-return`.

        >>> Campaign(sales_sd_usd=75.0, cost_usd=0.15, margin=0.5).effect(roi=1.0)
        0.6
        """
        return self.cost_usd * (1 + roi) / self.margin

    def roi_sd(self, n: int) -> float:
        """Standard error of the estimated return from `n` people, by that of the effect, beta_2.

        .. displayed:: eq-ad-return, eq-ad-variance

        >>> Campaign(sales_sd_usd=75.0, cost_usd=0.15, margin=0.5).roi_sd(1_000_000)
        0.5
        """
        return self.margin / self.cost_usd * 2 * self.sales_sd_usd / np.sqrt(n).item()

    def intervals(self, people) -> Table:
        """Half the width of the 95% interval for the return, for each number of people."""
        points = [100 * _z(0.975) * self.roi_sd(n) for n in people]
        widths = [f"± {half:,.0f} percentage points" for half in points]
        return Table({"people": people, "95% interval for the ROI": widths})

    def n_to_tell_apart(self, roi_gap: float, power: float = 0.8, size: float = 0.05) -> int:
        r"""People needed to detect a difference of `roi_gap` from a hypothesized return, Delta.

        .. displayed:: eq-ad-power

        The quantiles are those of `power` 0.8 and `size` 0.05, the rounding is upward.

        >>> Campaign(sales_sd_usd=75.0, cost_usd=0.15, margin=0.5).n_to_tell_apart(1.0)
        1962220
        """
        n = ((_z(1 - size / 2) + _z(power)) * self.roi_sd(1) / roi_gap) ** 2
        return int(np.ceil(n))

    def prose(self, roi: float) -> dict[str, str]:
        """The effect in cents, what it explains in millionths, and people in millions."""
        explained = self.effect(roi) ** 2 / 4  # variance of the effect times a dummy of mean 1/2
        share = explained / (explained + self.sales_sd_usd**2)
        return {
            "ls_ad_effect": f"{100 * self.effect(roi):.0f}",
            "ls_ad_explained": f"{1e6 * share:.0f}",
            "ls_ad_needed": f"{self.n_to_tell_apart(roi_gap=roi) / 1e6:.0f}",
        }


def _z(probability):
    return NormalDist().inv_cdf(probability)
