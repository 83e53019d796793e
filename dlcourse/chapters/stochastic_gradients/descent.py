r"""SGD on data, many runs at once.

X, y    a regression (n, p), (n,)      beta     coefficients of each run (runs, p)
excess  loss on all rows, less the smallest one there is
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from dlcourse import contest
from dlcourse.batches import Budget, batches, shuffled
from dlcourse.contest import Contest, Entrant
from dlcourse.convergence import stochastic
from dlcourse.linear.least_squares import by_qr
from dlcourse.losses import Quadratic, SoftmaxLoss, SquaredError
from dlcourse.optim import SGD, walk
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
N_EPOCHS, RATES = 10, [0.1, 0.3, 1.0, 3.0, 10.0]  # of the training by batch size


def batch_gradient(X, y, beta: Float[Array, "runs p"], rows) -> Float[Array, "runs p"]:
    r"""Gradient of half the mean squared error over each run's own rows.

    .. math:: g = \frac1B \sum_{i \in \mathcal{B}} (x_i^\top \beta - y_i) \, x_i

    Book: eq. `eq-sgd-estimate`.
    """
    chosen = X[rows]  # (runs, B, p)
    residual = np.einsum("rbp,rp->rb", chosen, beta) - y[rows]
    return np.einsum("rb,rbp->rp", residual, chosen) / rows.shape[1]


@dataclass(frozen=True)
class Sampling:
    """How mini-batches come about: which order, how large, for how long, in how many runs."""

    order: Callable = shuffled
    batch_size: int = 1
    n_epochs: int = 50
    n_runs: int = 50


def descend(X, y, learning_rate, sampling: Sampling, rng) -> Float[Array, "epochs runs"]:
    """Excess loss after 0, 1, ... epochs of SGD from zero, one column a run."""
    n, p = X.shape
    loss = SquaredError(X, y)
    smallest = loss(by_qr(X, y).beta)[0]
    budget, runs = Budget(sampling.n_epochs, sampling.batch_size), (sampling.n_runs,)
    drawn = batches(budget, n, rng, sampling.order, runs)
    points = walk(
        SGD(learning_rate),
        np.zeros((*runs, p)),
        lambda k, beta: batch_gradient(X, y, beta, next(drawn)),
        budget.n_steps(n),
    )
    return loss(points[:: budget.n_steps(n) // sampling.n_epochs])[0] - smallest


@dataclass(frozen=True)
class NoisyBowl:
    """A bowl whose gradient comes with normal noise of mean square sigma^2, at every point."""

    bowl: Quadratic
    sigma: float
    m: float
    M: float

    def descend(self, x0: Float[Array, " p"], learning_rate, n_steps, rng, n_runs=400):
        """Mean squared distance to the minimizer after 0, 1, ... steps of SGD from x0 (steps,)."""

        def noisy(k, x):
            return self.bowl(x)[1] + self.sigma / np.sqrt(len(x0)) * rng.normal(size=x.shape)

        points = walk(SGD(learning_rate), np.tile(x0, (n_runs, 1)), noisy, n_steps)
        return ((points - self.bowl.center) ** 2).sum(2).mean(1)


@dataclass(frozen=True)
class StepSizes:
    """Mean squared distances of SGD on a noisy bowl, and the bounds of the theorems."""

    squares: dict[str, Float[Array, " steps"]]
    bounds: dict[str, Float[Array, " steps"]]

    def __repr__(self):
        is_within = all((self.squares[s] <= 1.1 * self.bounds[s]).all() for s in self.squares)
        ends = (f"{name}: {squares[-1]:.3f}" for name, squares in self.squares.items())
        return f"all below their bounds, up to sampling error: {is_within}\n" + "\n".join(ends)


def compare_step_sizes(noisy: NoisyBowl, x0, rates, n_steps: int, rng) -> StepSizes:
    """Constant steps of the given sizes, and the decaying steps of the theorem."""
    m, k = noisy.m, np.arange(n_steps + 1)
    distance = float(np.linalg.norm(x0 - noisy.bowl.center))
    decaying = stochastic.decaying_schedule(m, noisy.M)
    squares, bounds = {}, {}
    for rate in rates:
        name = f"constant {rate:g}"
        squares[name] = noisy.descend(x0, rate, n_steps, rng)
        bounds[name] = stochastic.constant_step_bound(distance, rate, k, m, noisy.sigma)
    squares["decaying"] = noisy.descend(x0, decaying, n_steps, rng)
    bounds["decaying"] = stochastic.decaying_step_bound(
        distance, k, decaying.n_steps, m, noisy.sigma
    )
    return StepSizes(squares, bounds)


@dataclass(frozen=True, repr=False)
class BatchSizes(PrintsTable):
    """Training by batch size: every size has its own tuned step and the same number of epochs."""

    contest: Contest  # an entrant is a batch size
    n_steps: list[int]

    @property
    def losses(self) -> dict[int, Float[Array, "seeds epochs"]]:
        """Losses on all rows after 0, 1, ... epochs, on the seeds that chose no step."""
        return self.contest.scores["losses"]

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of the smallest batch, the next and all rows."""
        last = [losses[:, -1] for losses in self.losses.values()]
        return {
            "sgd_tiny": f"{last[0].mean():.2f}",
            "sgd_full": f"{last[-1].mean():.2f}",
            "sgd_worst": f"{last[1].max():.2f}",
            "sgd_worst_steps": f"{self.n_steps[1]}",
            "sgd_tiny_steps": f"{self.n_steps[0]:,}",
            "sgd_full_steps": f"{self.n_steps[-1]}",
        }

    def table(self):
        last = [losses[:, -1] for losses in self.losses.values()]
        return Table(
            {
                "batch size": list(self.losses),
                "best step": [tuning.rate for tuning in self.contest.tuning.values()],
                "steps taken": self.n_steps,
                "loss at the end": [f"{values.mean():.4f}" for values in last],
                "lowest": [f"{values.min():.4f}" for values in last],
                "highest": [f"{values.max():.4f}" for values in last],
            }
        )


def losses_by_batch_size(
    X, labels, batch_sizes: Sequence[int], tuning_seeds, reporting_seeds
) -> BatchSizes:
    """Softmax regressions trained for `N_EPOCHS` on mini-batches of each size.

    Each size has the one of the `RATES` with the smallest mean loss after the last epoch.
    """

    def trial(make, rates, seeds):
        losses = [
            [softmax_losses(X, labels, *make(rate), seed) for seed in seeds] for rate in rates
        ]
        return {"loss": np.array(losses)[..., -1], "losses": np.array(losses)}

    budgets = [Budget(N_EPOCHS, size) for size in batch_sizes]
    entrants = {
        budget.batch_size: Entrant(lambda rate, budget=budget: (SGD(rate), budget), RATES)
        for budget in budgets
    }
    held = contest.hold(trial, entrants, tuning_seeds, reporting_seeds, by="loss")
    return BatchSizes(held, [budget.n_steps(len(labels)) for budget in budgets])


def softmax_losses(X, labels, optimizer, budget: Budget, seed) -> Float[Array, " epochs"]:
    """Loss on all rows after 0, 1, ... epochs from zero on shuffled mini-batches."""
    (n, p), m = X.shape, labels.max() + 1
    is_own = np.eye(m)[labels]  # (n, m)
    drawn = batches(budget, n, np.random.default_rng(seed))

    def gradient(k, theta):  # of `SoftmaxLoss` on some rows, without its checks of the data
        rows = next(drawn)
        excess = softmax(X[rows] @ theta.reshape(m, p).T, axis=1) - is_own[rows]  # (B, m)
        return (excess.T @ X[rows] / len(rows)).ravel()

    n_steps = budget.n_steps(n)
    points = walk(optimizer, np.zeros(m * p), gradient, n_steps)
    return SoftmaxLoss(X, labels)(points[:: n_steps // budget.n_epochs])[0]
