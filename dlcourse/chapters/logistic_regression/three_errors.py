r"""Approximation, estimation, optimization error of one logit.


p     the truth, a probability at each x in [-1, 1]     degree   d, so d + 1 coefficients
p_d   of all logits with a polynomial of degree d as    features x -> design matrix
      score, the one with the smallest expected loss    w        p_d (1 - p_d)

Distances are root mean squares over a uniform x, of probabilities. The record and the figure are
those of `dlcourse.linear.three_errors`: the same three questions asked of another model.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlcourse import _checks
from dlcourse.linear import logistic
from dlcourse.linear.logistic import smoothness
from dlcourse.linear.three_errors import BASES, ThreeErrors, distance, legendre, nodes
from dlcourse.losses import LogisticLoss, sigmoid
from dlcourse.optim import GradientDescent, minimize

Array = np.ndarray


class BinaryCurve(NamedTuple):
    """Yes-or-no observations along x, and the probability of a yes at each x."""

    x: Float[Array, " n"]
    y: Float[Array, " n"]
    truth: Callable

    def __repr__(self):
        return f"{len(self.x)} observations of {self.truth.__name__}, {int(self.y.sum())} of them 1"


def ad_fatigue(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Probability that a visitor buys, against how often she has seen the ad, rescaled to [-1, 1].

    .. displayed:: eq-logistic-ad-fatigue

    The first ads inform, the later ones annoy.

    >>> ad_fatigue(np.array([-1.0, -0.1, 1.0])).round(3)
    array([0.138, 0.622, 0.124])
    """
    return sigmoid(-2 + 2.5 * np.exp(-((x + 0.1) ** 2) / 0.3))


def purchases(n: int, rng) -> BinaryCurve:
    """Whether each of `n` visitors buys, x uniform on [-1, 1].

    Raises `ValueError` unless `n` is a count and `rng` a generator.

    >>> purchases(100, rng=np.random.default_rng(0))
    100 observations of ad_fatigue, 33 of them 1
    """
    _checks.generator(rng)
    n = _checks.count(n, "n")
    x = rng.uniform(-1, 1, size=n)
    return BinaryCurve(x, (rng.random(n) < ad_fatigue(x)).astype(float), ad_fatigue)


def measure(data: BinaryCurve, degree: int, n_steps: int) -> ThreeErrors:
    """All three curves: over the degree, over the first m observations, over the steps.

    Raises `ValueError` for fewer than 40 observations a coefficient.
    """
    n = len(data.x)
    if n < 40 * (degree + 1):
        raise ValueError(
            f"`data` must hold at least 40 observations a coefficient, here {40 * (degree + 1)}, "
            f"to show a curve, got {n}. Draw more, or lower the degree."
        )
    degrees = range(max(10, degree) + 1)
    best = {d: nearest_logit(data.truth, d) for d in degrees}
    x, _ = nodes()
    truth = data.truth(x)
    sizes = np.unique(np.geomspace(20 * (degree + 1), n, 9).round().astype(int))
    fits = {name: descend(data, degree, n_steps, features) for name, features in BASES.items()}
    return ThreeErrors(
        degrees=np.array(degrees),
        approximation=np.array([distance(_curve(best[d]), truth) for d in degrees]),
        sizes=sizes,
        estimation=estimation_errors(data, best[degree], sizes),
        expected_estimation=np.sqrt(estimation_constant(best[degree]) / sizes),
        optimization={name: distance(curves, fit) for name, (curves, fit) in fits.items()},
        degree=degree,
        total=distance(fits["powers"][0][-1], truth).item(),
    )


def nearest_logit(truth: Callable, degree: int) -> Float[Array, " p"]:
    r"""Legendre coefficients of the polynomial logit with the smallest expected loss.

    It is what maximum likelihood would find in unlimited data. Book: eq. `eq-logistic-projection`.

    >>> nearest_logit(lambda x: np.full_like(x, 0.25), degree=1).round(4) + 0.0
    array([-1.0986,  0.    ])
    """
    x, weights = nodes()
    Phi, p = legendre(x, degree), truth(x)
    # Unlimited data at each node: a share p of them says yes.
    yes_and_no = np.repeat([1.0, 0.0], len(x))
    shares = np.concatenate([weights * p, weights * (1 - p)])
    return logistic.by_newton(np.vstack([Phi, Phi]), yes_and_no, weights=shares).coefficients


def estimation_constant(c: Float[Array, " p"]) -> float:
    r"""n times the expected squared estimation error in probability, where the logit is right.

    .. displayed:: eq-logistic-estimation-rate

    :math:`\operatorname{tr} H^{-1} G`, where `c` are the coefficients of the nearest logit, p_d.

    >>> round(estimation_constant(np.zeros(3)), 6)
    0.75
    """
    x, weights = nodes()
    Phi = legendre(x, len(c) - 1)
    q = sigmoid(Phi @ c)
    w = q * (1 - q)
    H, G = ((Phi * (weights * v)[:, None]).T @ Phi for v in (w, w**2))
    return float(np.trace(np.linalg.solve(H, G)))


def estimation_errors(
    data: BinaryCurve, best: Float[Array, " p"], sizes: Int[Array, " sizes"] | Sequence[int]
):
    """Distance from the nearest logit to the one fitted to the first m observations."""
    Phi = legendre(data.x, len(best) - 1)
    fits = [logistic.by_newton(Phi[:m], data.y[:m]).coefficients for m in sizes]
    return np.array([distance(_curve(fit), _curve(best)) for fit in fits])


def descend(data: BinaryCurve, degree: int, n_steps: int, features: Callable):
    """Curves of gradient descent at the nodes, (n_steps + 1, nodes), and the fit they aim for."""
    X, at_nodes = features(data.x, degree), features(nodes()[0], degree)
    descent = minimize(
        LogisticLoss(X, data.y),
        np.zeros(degree + 1),
        GradientDescent(1 / smoothness(X)),
        max_steps=n_steps,
    )
    fit = logistic.by_newton(X, data.y).coefficients
    return sigmoid(descent.points @ at_nodes.T), sigmoid(at_nodes @ fit)


def _curve(c):
    return sigmoid(legendre(nodes()[0], len(c) - 1) @ c)
