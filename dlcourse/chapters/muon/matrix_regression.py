r"""Regressions with many outcomes and a known truth, to see when equal steps help.

W, W_star  coefficients (p, p), a row a feature and a column an outcome; the true ones
A          second moments of the features (p, p); kappa is its condition number
seeds      whole numbers, which together start one stream of draws; each has a place on an axis
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse import contest
from dlcourse.contest import Contest, Entrant
from dlcourse.optim import SGD, Adam, Cosine, HeavyBall, Muon, walk
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


class Sample(NamedTuple):
    """The truth of each seed, and the new observations that each step sees."""

    W_star: Float[Array, "seeds p p"]
    X: Float[Array, "steps seeds batch p"]
    Y: Float[Array, "steps seeds batch p"]

    def gradient(self, k, W) -> Float[Array, "seeds p p"]:
        """Gradient at W of half the mean squared error on the observations of step k."""
        X, Y = self.X[k], self.Y[k]
        return _transpose(X) @ (X @ W - Y) / X.shape[1]


@dataclass(frozen=True)
class World:
    r"""Features with condition number `kappa`, true coefficients of a `rank`, noise in the outcome.

    .. displayed:: eq-muon-matrix-regression

    The outcome is :math:`y = x W^*` plus noise, and :math:`E = W - W^*`. The rank says how many
    directions matter; those that do matter equally. Each step sees `batch_size` new observations.
    """

    kappa: float
    rank: int
    noise_sd: float
    batch_size: int = 32
    p: int = 16

    def draw(self, n_steps, seeds: Sequence[int]) -> Sample:
        """Truths with random axes, each of Frobenius norm sqrt(p), and observations of them."""
        rng, n_seeds = np.random.default_rng(list(seeds)), len(seeds)
        axes, left, right = (_orthogonal(rng, n_seeds, self.p) for _ in range(3))
        used = np.s_[..., : self.rank]
        W_star = np.sqrt(self.p / self.rank) * left[used] @ _transpose(right[used])
        spread = np.geomspace(1.0, 1 / self.kappa, self.p) ** 0.5
        shape = (n_steps, n_seeds, self.batch_size, self.p)
        X = rng.normal(size=shape) * spread @ _transpose(axes)
        return Sample(W_star, X, X @ W_star + self.noise_sd * rng.normal(size=shape))


def path(optimizer, sample: Sample) -> Float[Array, "steps seeds"]:
    """Distance from the truth after 0, 1, ... steps from zero, as a share of the first distance.

    A path that overflows ends at infinity.
    """
    W, first = np.zeros_like(sample.W_star), np.linalg.norm(sample.W_star, axis=(1, 2))
    with np.errstate(over="ignore", invalid="ignore"):  # step sizes too large are tried too
        points = walk(optimizer, W, sample.gradient, len(sample.X))
        distances = np.linalg.norm(points - sample.W_star, axis=(2, 3)) / first
    return np.where(np.isfinite(distances), distances, np.inf)


# One thing changes from each to the next: first the noise, then the rank, then kappa.
WORLDS = {
    "all directions": World(kappa=1_000.0, rank=16, noise_sd=0.02),
    "noise": World(kappa=1_000.0, rank=16, noise_sd=0.5),
    "one direction": World(kappa=1_000.0, rank=1, noise_sd=0.5),
    "κ = 1": World(kappa=1.0, rank=1, noise_sd=0.5),
}


def entrants(n_steps) -> dict[str, Entrant]:
    """Four optimizers, each with twelve step sizes a factor of two apart; all fall as a cosine."""
    makers = {"SGD": SGD, "momentum": HeavyBall, "Adam": Adam, "Muon": Muon}
    smallest = {"SGD": 2.0**-8, "momentum": 2.0**-9, "Adam": 2.0**-10, "Muon": 2.0**-10}
    return {
        name: Entrant(
            lambda rate, maker=maker: maker(Cosine(rate, n_steps)),
            smallest[name] * 2.0 ** np.arange(12),
        )
        for name, maker in makers.items()
    }


@dataclass(frozen=True, repr=False)
class Comparison(PrintsTable):
    """One contest a world; the measures are the last distance and the path to it."""

    contests: Mapping[str, Contest]

    def ends(self, world) -> dict[str, float]:
        """Mean distance at the end of each entrant."""
        scores = self.contests[world].scores["distance"]
        return {name: float(distances.mean()) for name, distances in scores.items()}

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of the four worlds, rounded as it is read."""
        clean, noisy, one, last = (self.ends(world) for world in WORLDS)
        next_clean, next_noisy = (sorted(ends, key=ends.get)[1] for ends in (clean, noisy))
        return {
            "muon_clean": f"{clean['Muon']:.2g}",
            "muon_clean_next": f"{clean[next_clean]:.2g}",
            "muon_clean_name": next_clean,
            "muon_noisy": f"{noisy['Muon']:.2g}",
            "muon_noisy_next": f"{noisy[next_noisy]:.2g}",
            "muon_one": f"{one['Muon']:.2g}",
            "muon_one_momentum": f"{one['momentum']:.2g}",
            "muon_last_ratio": f"{last['Muon'] / min(last.values()):.1f}",
        }

    def table(self):
        columns = {"optimizer": list(next(iter(self.contests.values())).tuning)}
        for title, held in self.contests.items():
            columns[title] = [
                contest.mean_and_sd(ends) for ends in held.scores["distance"].values()
            ]
        return Table(columns)


def contests_by_world(
    worlds: Mapping[str, World],
    n_steps: int,
    tuning_seeds: Sequence[int],
    reporting_seeds: Sequence[int],
) -> Comparison:
    """The four optimizers in every world, each with the step size that ends nearest there."""

    def held_in(world):
        def trial(make, rates, seeds):
            sample = world.draw(n_steps, seeds)
            paths = np.stack([path(make(rate), sample).T for rate in rates])
            return {"distance": paths[..., -1], "path": paths}

        return contest.hold(trial, entrants(n_steps), tuning_seeds, reporting_seeds, by="distance")

    return Comparison({title: held_in(world) for title, world in worlds.items()})


def _orthogonal(rng, n_seeds, p):
    """Random orthogonal matrices, one a seed."""
    return np.linalg.qr(rng.normal(size=(n_seeds, p, p)))[0]


def _transpose(X):
    return np.swapaxes(X, -1, -2)
