r"""One trial of a contest of optimizers: train a network on some images, measure it on the others.

X  inputs, one observation a row (n, n_in)      y  classes, integers (n,)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dlcourse.autograd import softmax_cross_entropy
from dlcourse.contest import Contest, Entrant
from dlcourse.nn.layers import MLP
from dlcourse.nn.training import Recipe, evaluate, fit
from dlcourse.optim import (
    SGD,
    Adam,
    AdamW,
    Cosine,
    HeavyBall,
    Muon,
    moonlight_scale,
    muon_for_hidden,
)

Array = np.ndarray


@dataclass(frozen=True)
class Classification:
    """What all optimizers of a contest share: the data, the network and the budget.

    Called as `trial(make, rates, seeds)`. Each seed draws the split of the data, the first weights
    and the order of the batches, alike for every optimizer. What is left after `n_train` and
    `n_validation` rows is the test set. With `is_centered` the mean of the training inputs is
    subtracted from all inputs. A run that diverges scores infinity.
    """

    X: Float[Array, "n n_in"]
    y: Int[Array, " n"]
    is_centered: bool = False
    hidden: Sequence[int] = (32, 32, 32)
    n_train: int = 1_000
    n_validation: int = 400
    n_epochs: int = 5
    batch_size: int = 50

    @property
    def n_steps(self) -> int:
        """Steps of one run: so long is a schedule."""
        return self.n_epochs * -(-self.n_train // self.batch_size)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the network's parameters in order, for an optimizer that asks for them."""
        return list(self.network(np.random.default_rng(0)).parameters.shapes.values())

    def network(self, rng) -> MLP:
        """A network with fresh weights."""
        return MLP((self.X.shape[1], *self.hidden, int(self.y.max()) + 1), rng)

    def __call__(self, make, rates, seeds) -> dict[str, Float[Array, "rates seeds"]]:
        """Training loss, validation loss and test error after the last epoch."""
        with np.errstate(over="ignore", invalid="ignore"):  # step sizes too large are tried too
            runs = [
                [self._run(make(rate), np.random.default_rng(seed)) for seed in seeds]
                for rate in rates
            ]
        names = ("training loss", "validation loss", "test error")
        return dict(zip(names, np.moveaxis(runs, -1, 0), strict=True))

    def _run(self, optimizer, rng):
        train, validation, test = self._split(rng)
        network = self.network(rng)
        recipe = Recipe(softmax_cross_entropy, optimizer, self.n_epochs, self.batch_size)
        try:
            fit(network, *train, recipe, rng)
        except ValueError:  # its loss is no longer finite
            return [np.inf] * 3
        losses = [evaluate(network, softmax_cross_entropy, *part) for part in (train, validation)]
        error = np.mean(network(test[0]).data.argmax(1) != test[1])
        return [*losses, error] if np.isfinite(losses).all() else [np.inf] * 3

    def _split(self, rng):
        order = rng.permutation(len(self.X))
        parts = np.split(order, np.cumsum([self.n_train, self.n_validation]))
        center = self.X[parts[0]].mean(axis=0) if self.is_centered else 0.0
        return [(self.X[rows] - center, self.y[rows]) for rows in parts]


def entrants(trial: Classification) -> dict[str, Entrant]:
    """Four optimizers, each with seven step sizes a factor of two apart; all fall as a cosine.

    Muon moves the hidden matrices, AdamW the rest. With Moonlight's scale one step size serves
    both, so Muon has as many numbers to tune as the others: one.
    """

    def muon(rate):
        others = AdamW(rate, weight_decay=0.0)
        return muon_for_hidden(trial.shapes, Muon(rate, scale=moonlight_scale), others)

    makers = {"SGD": SGD, "momentum": HeavyBall, "Adam": Adam, "Muon": muon}
    smallest = {"SGD": 0.1, "momentum": 0.01, "Adam": 0.002, "Muon": 0.002}
    return {
        name: Entrant(
            lambda rate, maker=maker: maker(Cosine(rate, trial.n_steps)),
            smallest[name] * 2.0 ** np.arange(7),
        )
        for name, maker in makers.items()
    }


def prose(contests: Mapping[str, Contest]) -> dict[str, str]:
    """What the chapter's text says of the contests on images "as recorded" and "centered"."""
    training = {
        how: {name: losses.mean() for name, losses in held.scores["training loss"].items()}
        for how, held in contests.items()
    }
    recorded = training["as recorded"]
    first = min(recorded, key=recorded.get)
    wins = contests["as recorded"].winners("training loss")
    *others, last = sorted(set(contests["centered"].winners("test error")))
    numbers = {
        "muon_recorded_first": first,
        "muon_recorded_wins": f"{wins.count(first)}",
        "muon_n_seeds": f"{len(wins)}",
        "muon_sgd_recorded": f"{recorded['SGD']:.2f}",
        "muon_sgd_centered": f"{training['centered']['SGD']:.3f}",
        "muon_muon_recorded": f"{recorded['Muon']:.3f}",
        "muon_winners": f"{', '.join(others)} or {last}" if others else last,
    }
    for how, means in training.items():
        n_apart = contests[how].pairs("test error").told_apart.sum()
        numbers[f"muon_lead_{how.split()[-1]}"] = f"{means['Adam'] - means['Muon']:.3f}"
        numbers[f"muon_apart_{how.split()[-1]}"] = f"{n_apart or 'none'}"
    return numbers


def hidden_gradient(
    X: Float[Array, "n n_in"], y: Int[Array, " n"], n_epochs: int, rng, width=64
) -> Float[Array, "width width"]:
    """The gradient of a network's hidden matrix on all data, after so many epochs of Adam."""
    network = MLP((X.shape[1], width, width, int(y.max()) + 1), rng)
    fit(network, X, y, Recipe(softmax_cross_entropy, Adam(0.003), n_epochs, batch_size=50), rng)
    network.parameters.take_gradient(softmax_cross_entropy(network(X), y))
    return network.parameters.views(network.parameters.grad)["layers.1.weight"]
