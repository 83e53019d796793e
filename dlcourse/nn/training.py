r"""The training loop: epochs of shuffled mini-batches.

X  inputs, one observation a row (n, ...)      rows  which observations make the batch (b,)
y  targets (n, ...)                            rng   source of the shuffling
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from dlcourse import _checks
from dlcourse.autograd.capture import Captured, launch
from dlcourse.autograd.regularizers import check_generator
from dlcourse.autograd.tensor import NotFiniteError
from dlcourse.batches import Budget, batches
from dlcourse.nn.layers import Layer

Array = np.ndarray


@dataclass(frozen=True)
class Recipe:
    """How to train: everything but the network and the data.

    `loss(prediction, y)` is a mean over rows, such as `autograd.mean_squared_error`. Training stops
    early once `patience` epochs in a row have not improved the validation loss. Raises `ValueError`
    for an optimizer without an update in place, and unless the numbers are counts.
    """

    loss: Callable
    optimizer: object
    n_epochs: int = 10
    batch_size: int = 32
    patience: int | None = None
    shows_progress: bool = False

    def __post_init__(self):
        if isinstance(self.optimizer, type):
            name = self.optimizer.__name__
            raise ValueError(
                f"`optimizer` must be an optimizer, got a class. Make one: `{name}(0.001)`."
            )
        if not hasattr(self.optimizer, "update"):
            raise ValueError(
                f"`optimizer` must have an `update` in place, got {self.optimizer!r}. "
                "Use `optim.SGD` for plain gradient descent."
            )
        for name in ("n_epochs", "batch_size", "patience"):
            value = getattr(self, name)
            is_count = isinstance(value, Integral) and not isinstance(value, bool) and value >= 1
            if not is_count and (name, value) != ("patience", None):
                raise ValueError(
                    f"`{name}` must be a whole number, 1 or more, got {value!r}. A float? Use "
                    f"`int(...)`."
                )


class History(NamedTuple):
    """The losses of a training run, one entry an epoch, and which epoch the network is left at."""

    train_loss: Float[Array, " epochs"]  # mean over the epoch's batches, weights moving on
    validation_loss: Float[Array, " epochs"]  # after the epoch; NaN without validation data
    best_epoch: int  # counted from 1
    is_stopped_early: bool

    def __repr__(self):
        how = "stopped early" if self.is_stopped_early else "ran to the end"
        text = f"{how} after {len(self.train_loss)} epochs: train loss {self.train_loss[-1]:.4g}"
        if np.isnan(self.validation_loss).all():
            return text
        best = self.validation_loss[self.best_epoch - 1]
        return f"{text}\nvalidation loss {best:.4g} after epoch {self.best_epoch}, the best: kept"


class Step:
    """One step of training on some rows of the data, recorded once and replayed from then on.

    The recording begins with the choice of the rows, so a replay needs only their numbers.
    """

    def __init__(self, network: Layer, X, y, recipe: Recipe):
        self.network, self.X, self.y, self.recipe = network, X, y, recipe
        self.parameters = network.parameters
        self.state = recipe.optimizer.init(self.parameters.flat)
        self.captured = {}

    def __call__(self, rows: Shaped[Array, " b"]) -> float:
        """Move the network, and return the loss of the batch before the move."""
        n = len(rows)  # the last batch of an epoch may be smaller: it gets its own recording
        if n not in self.captured:
            self.captured[n] = Captured(self.eager)
        return float(self.captured[n](rows))

    def eager(self, rows):
        """The step itself: predict, measure the loss, go back through the graph, move."""
        x, y = launch(_rows_of, self.X, rows), launch(_rows_of, self.y, rows)
        loss = self.recipe.loss(self.network(x, training=True), y)
        self.parameters.take_gradient(loss)
        optimizer, grad = self.recipe.optimizer, self.parameters.grad
        launch(_move, optimizer, grad, self.state, out=self.parameters.flat)
        return loss.data


def fit(network: Layer, X, y, recipe: Recipe, rng, validation: tuple | None = None) -> History:
    """Train `network` on (X, y) by the recipe; `validation` is another pair (X, y).

    With validation data the network is left as it was after its best epoch, otherwise after the
    last one. The same `rng` and the same first weights give the same network to the bit. Raises
    `ValueError` where the loss is no longer finite, and for a patience without validation data.

    >>> from dlcourse import autograd, nn, optim
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> network = nn.MLP((2, 1), rng)
    >>> recipe = Recipe(autograd.mean_squared_error, optim.Adam(0.05), n_epochs=30)
    >>> fit(network, X, X @ np.array([[1.0], [-2.0]]), recipe, rng).train_loss[-1].round(6)
    np.float64(0.0)
    """
    check_generator(rng)
    X, y = _data(X, y, "")
    watched = None if validation is None else _data(*validation, "validation ")
    if recipe.patience is not None and watched is None:
        raise ValueError("`patience` watches the validation loss. Give `validation=(X, y)` too.")
    step, losses, best = Step(network, X, y, recipe), [], None
    for epoch in _progress(recipe):
        try:
            train_loss = _epoch(step, len(X), recipe.batch_size, rng)
        except NotFiniteError as error:
            raise ValueError(
                f"The training loss is not finite in epoch {epoch}: the steps diverge. Lower the "
                "learning rate, or standardize the columns of X."
            ) from error
        losses.append((train_loss, evaluate(network, recipe.loss, *watched) if watched else np.nan))
        if watched is None or best is None or losses[-1][1] < losses[best - 1][1]:
            best = epoch
            kept = {name: x.copy() for name, x in network.arrays().items()} if watched else {}
        elif recipe.patience is not None and epoch - best >= recipe.patience:
            break
    for name, x in network.arrays().items() if kept else ():
        x[...] = kept[name]
    train, watched = np.array(losses).T
    return History(train, watched, best, is_stopped_early=len(losses) < recipe.n_epochs)


def evaluate(network: Layer, loss: Callable, X, y) -> float:
    """The loss of the network on (X, y), outside of training."""
    return float(loss(network(X), y))


def _epoch(step, n, batch_size, rng):
    """Mean loss over one pass through the data in random order."""
    rows_of_batches = batches(Budget(n_epochs=1, batch_size=batch_size), n, rng)
    return sum(step(rows) * len(rows) for rows in rows_of_batches) / n


def _data(X, y, which):
    X, y = _checks.floats(X, f"{which}X"), np.asarray(y)
    if y.dtype.kind not in "iu":  # class labels
        _checks.floats(y, f"{which}y")
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y) or len(X) == 0:
        raise ValueError(
            f"{which}X and y must have one row an observation, got shapes {X.shape} and {y.shape}."
        )
    return X, y


def _progress(recipe):
    epochs = range(1, recipe.n_epochs + 1)
    if not recipe.shows_progress:
        return epochs
    from tqdm.auto import tqdm  # here, because it takes as long to import as all the rest

    return tqdm(epochs, desc="epochs")


# Kernels


def _rows_of(array, rows, out=None):
    return np.take(array, rows, 0, out, "clip")  # "raise" would go through a buffer


def _move(optimizer, grad, state, x):
    optimizer.update(x, grad, state)
