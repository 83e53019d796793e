r"""How long a step of Adam is, whatever the gradients.

All lengths are in units of alpha, for one coordinate.

k  steps taken, from 1      B_k  the longest that step k can be
g  size of the gradient     beta1, beta2, epsilon: as in Adam
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dlcourse.optim import Adam, walk
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
Steps = int | Int[Array, "*steps"]
Lengths = float | Float[Array, "*steps"]
Sizes = float | Float[Array, "*sizes"]


def uncorrected(k: Steps, beta1: float, beta2: float) -> Lengths:
    r"""Under a constant gradient, if neither average is corrected for its start at zero.

    .. displayed:: eq-adam-uncorrected

    >>> uncorrected(np.array([1, 12, 10_000]), 0.9, 0.999).round(2)
    array([3.16, 6.57, 1.  ])
    """
    return (1 - beta1**k) / np.sqrt(1 - beta2**k)


def under_noise(k: Steps, beta1: float) -> Lengths:
    r"""Root mean square under gradients of one size whose signs are drawn by tossing a coin.

    The root of the variance of the averaged gradient, in units of one gradient.

    .. displayed:: eq-adam-variance

    >>> under_noise(np.array([1, 1000]), beta1=0.9).round(3)
    array([1.   , 0.229])
    """
    beta = beta1
    return np.sqrt((1 - beta) * (1 + beta**k) / ((1 + beta) * (1 - beta**k)))


def longest(k: int, beta1: float, beta2: float) -> float:
    r"""The longest that step k can be, over all gradients.

    .. displayed:: eq-adam-longest

    Here :math:`r = \beta_1^2 / \beta_2`.

    >>> round(float(longest(100_000, 0.9, 0.999)), 2)
    7.27
    """
    r = beta1**2 / beta2
    total = k if r == 1 else (1 - r**k) / (1 - r)
    return (1 - beta1) / (1 - beta1**k) * np.sqrt((1 - beta2**k) / (1 - beta2) * total)


def worst_gradients(k: int, beta1: float, beta2: float) -> Float[Array, " k"]:
    r"""Gradients under which step k is as long as it can be: each beta2 / beta1 times the last one.

    Book: theorem `thm-adam-longest`.

    >>> worst_gradients(3, beta1=0.5, beta2=1.0)
    array([0.25, 0.5 , 1.  ])
    """
    return (beta1 / beta2) ** np.arange(k - 1, -1, -1)


def taken(optimizer, gradients: Float[Array, "k p"]) -> Float[Array, "k p"]:
    """Lengths of the steps that an optimizer with learning rate 1 takes under `gradients`.

    >>> taken(Adam(1.0), np.array([[3.0, 1.0], [3.0, 0.0]])).round(3)
    array([[1.  , 1.  ],
           [1.  , 0.67]])
    """
    start = np.zeros(gradients.shape[1])
    points = walk(optimizer, start, lambda k, x: gradients[k], len(gradients))
    return np.abs(np.diff(points, axis=0))


@dataclass(frozen=True, repr=False)
class Cases(PrintsTable):
    """Steps of Adam under four kinds of gradients, in units of alpha, run and computed."""

    run: Mapping[str, float]
    computed: Mapping[str, float]

    @property
    def worst(self) -> float:
        """The step under the gradients that are as bad as they can be."""
        return list(self.run.values())[-1]

    def table(self):
        lengths = {"step / α": self.run, "by formula": self.computed}
        columns = {name: [f"{x:.2f}" for x in column.values()] for name, column in lengths.items()}
        return Table({"gradients": list(self.run)} | columns)


def cases(rng, beta1: float, beta2: float) -> Cases:
    """Adam under gradients that are noise, constant, rare, and as bad as they can be.

    Each for 10,000 steps. Under noise, the root mean square of the second half of them; otherwise
    the last one.
    """
    n_steps, worst = 10_000, f"growing by {100 * (beta2 / beta1 - 1):.2g} % a step"
    gradients = {
        "pure noise": rng.choice([-1.0, 1.0], n_steps),
        "constant": np.full(n_steps, 3.0),
        "one after a long silence": np.append(np.zeros(n_steps - 1), 1.0),
        worst: worst_gradients(n_steps, beta1, beta2),
    }
    tiny = 1e-150  # for zeros: its square is the smallest that Adam can divide by
    columns = np.stack([np.where(np.abs(g) < tiny, tiny, g) for g in gradients.values()], axis=1)
    steps = taken(Adam(1.0, beta1, beta2, epsilon=0.0), columns)
    under_noise_run = np.sqrt((steps[n_steps // 2 :, 0] ** 2).mean())
    run = (under_noise_run, *steps[-1, 1:])
    computed = (
        under_noise(n_steps, beta1),
        1.0,
        uncorrected(1, beta1, beta2) * np.sqrt(1 - beta2**n_steps),
        longest(n_steps, beta1, beta2),
    )
    return Cases(
        dict(zip(gradients, run, strict=True)), dict(zip(gradients, computed, strict=True))
    )


def with_epsilon(g: Sizes, epsilon: float) -> Sizes:
    r"""Under a constant gradient, epsilon outside the root, as in the paper and in PyTorch.

    .. displayed:: eq-adam-epsilon

    >>> with_epsilon(np.array([1e-6, 1e-8]), epsilon=1e-8).round(4)
    array([0.9901, 0.5   ])
    """
    return np.abs(g) / (np.abs(g) + epsilon)


def with_epsilon_inside(g: Sizes, epsilon: float) -> Sizes:
    r"""Under a constant gradient, epsilon under the root, as the slide prints it.

    .. displayed:: eq-adam-epsilon-inside

    >>> with_epsilon_inside(np.array([1e-6, 1e-8]), epsilon=1e-8).round(4)
    array([0.01  , 0.0001])
    """
    return np.abs(g) / np.sqrt(np.square(g) + epsilon)


def epsilon_table(sizes: Sequence[float], epsilon: float) -> Table:
    """Lengths of a step with epsilon outside and inside the root, by size of the gradient."""
    g = np.array(sizes)
    outside, inside = with_epsilon(g, epsilon), with_epsilon_inside(g, epsilon)
    return Table(
        {
            "|g|": [f"{size:g}" for size in sizes],
            "outside": [f"{length:.3g}" for length in outside],
            "inside": [f"{length:.3g}" for length in inside],
            "outside / inside": [f"{ratio:.3g}" for ratio in outside / inside],
        }
    )
