r"""A penalty inside Adam and beside it, where the truth is zero.

s    size of the gradients of a coordinate       x  weights (*runs, p), p coordinates
lam  strength of the penalty                     alpha  step size

The data say nothing about any coordinate: its gradients are s or -s, as a coin falls. Every weight
starts at 1, its true value is 0, and only the penalty can take it there.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse.optim import Adam, AdamW, walk
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


def decoupled(n_steps: int, learning_rate: float, lam: float) -> Float[Array, " steps"]:
    r"""Mean weight left by AdamW after 0, 1, ..., n_steps steps: the same for every coordinate.

    .. displayed:: eq-adamw-shrinkage

    Started from 1.

    >>> decoupled(2, learning_rate=0.5, lam=0.2).round(3)
    array([1.  , 0.9 , 0.81])
    """
    return (1 - learning_rate * lam) ** np.arange(n_steps + 1)


def coupled(n_steps: int, adam: Adam, lam: float, s: Float[Array, " p"]):
    r"""About the mean weight left by the penalty inside Adam after many steps, for small lam / s.

    .. displayed:: eq-adamw-coupled-shrinkage

    Started from 1; `s` is the size of the gradients in each coordinate.

    >>> coupled(2, Adam(0.5), lam=0.2, s=np.array([1.0, 10.0])).round(3)
    array([[1.  , 1.  ],
           [0.9 , 0.99],
           [0.81, 0.98]])
    """
    rho = (1 - adam.beta1) * (1 - adam.beta2) / (1 - adam.beta1 * adam.beta2)
    share = 1 - adam.learning_rate * lam / s * (1 - rho)
    return share ** np.arange(n_steps + 1)[:, None]


@dataclass(frozen=True, repr=False)
class Shrinkage(PrintsTable):
    """Mean weights left, by coordinate, run and computed."""

    sizes: Float[Array, " p"]
    inside: Float[Array, "steps p"]  # the penalty inside Adam
    inside_computed: Float[Array, "steps p"]
    beside: Float[Array, "steps p"]  # AdamW
    beside_computed: Float[Array, " steps"]

    def prose(self) -> dict[str, str]:
        """What is left at the end, of the weights with the smallest and the largest gradients."""
        return {
            "adam_inside_small": f"{self.inside[-1, 0]:.0%}",
            "adam_inside_large": f"{self.inside[-1, -1]:.0%}",
            "adam_beside": f"{self.beside[-1, 0]:.1%}",
        }

    def table(self):
        return Table(
            {
                "size of g": [f"{s:g}" for s in self.sizes],
                "inside Adam": [f"{x:.2f}" for x in self.inside[-1]],
                "formula": [f"{x:.2f}" for x in self.inside_computed[-1]],
                "AdamW": [f"{x:.3f}" for x in self.beside[-1]],
                "AdamW formula": [f"{self.beside_computed[-1]:.3f}"] * len(self.sizes),
            }
        )


def shrinkage(sizes: Float[Array, " p"], lam: float, rng, n_steps: int = 1_000) -> Shrinkage:
    """Weights under both, the mean of 200 runs in pairs that see each other's gradients mirrored.

    >>> shrinkage(np.array([1.0, 10.0]), lam=0.2, rng=np.random.default_rng(0), n_steps=500)
    size of g  inside Adam  formula  AdamW  AdamW formula
    1          0.13         0.14     0.135  0.135
    10         0.82         0.82     0.135  0.135
    """
    learning_rate = 0.02
    noise = rng.choice([-1.0, 1.0], (n_steps, 100, len(sizes))) * sizes
    noise = np.concatenate([noise, -noise], axis=1)  # mirrored, so that chance adds no drift
    adam, adamw = Adam(learning_rate), AdamW(learning_rate, weight_decay=lam)
    return Shrinkage(
        sizes,
        _mean_weights(adam, noise, lam),
        coupled(n_steps, adam, lam, sizes),
        _mean_weights(adamw, noise, 0.0),
        decoupled(n_steps, learning_rate, lam),
    )


def _mean_weights(optimizer, noise, lam):
    start = np.ones(noise.shape[1:])
    return walk(optimizer, start, lambda k, x: noise[k] + lam * x, len(noise)).mean(1)
