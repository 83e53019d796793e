"""What is known of a convergence theorem, as a record, and what an examination of it finds.

A share is a value over the bound: 1 where the bound is met, above 1 where it is broken.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from dlcourse.convergence.bench import Bench
from dlcourse.convergence.refutation import Refutation
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Statement:
    """A theorem or lemma that the book states under `label`.

    `hypotheses` gives for each hypothesis a run in which it is missing, all others hold, and the
    bound is broken; `misprints` a run that breaks the bound as it is printed elsewhere, by erratum.
    """

    label: str
    name: str
    measured: str  # what is bounded, in words
    instances: Callable[..., Bench]  # (rng, n_problems=...) random problems
    worst_case: Callable[[Array], Bench]  # the worst function at each place
    by_pep: Callable[[float], float]  # the largest value over all functions, by PEPit
    hypotheses: Mapping[str, Callable[[], Refutation]]
    misprints: Mapping[str, Callable[[], Refutation]] = field(default_factory=dict)
    axis: str = "k"  # what the places are
    places: Array = field(default_factory=lambda: np.array([1, 2, 4, 8]))  # where PEPit is asked

    @property
    def at_last(self) -> str:
        """The last place, as a table writes it."""
        return f"{self.axis} = {self.places[-1]:g}"


@dataclass(frozen=True, eq=False, repr=False)
class Examined:
    """A statement with its random problems, its worst functions and PEPit's numbers."""

    statement: Statement
    bench: Bench
    worst: Bench  # at the places of the statement
    by_pep: Float[Array, " places"]

    @property
    def nearest(self) -> Int[Array, " places"]:
        """Which places of the bench are nearest to those of the statement."""
        return np.abs(self.bench.at[:, None] - self.statement.places).argmin(axis=0)

    @property
    def random_shares(self) -> Float[Array, " places"]:
        """The largest share of the bound that a random problem reaches, at each place."""
        return self.bench.shares.max(axis=0)[self.nearest]

    @property
    def worst_shares(self) -> Float[Array, " places"]:
        """The share of the bound that the worst function reaches, at each place."""
        return self.worst.shares[0]

    @property
    def pep_shares(self) -> Float[Array, " places"]:
        """The share of the bound that PEPit finds any function can reach, at each place."""
        return self.worst._replace(values=self.by_pep[None]).shares[0]

    @property
    def agrees(self) -> bool:
        """Do the worst function and PEPit give one number, to five digits?"""
        return bool(np.allclose(self.worst_shares, self.pep_shares, rtol=1e-5))


class Report(PrintsTable):
    """Statements examined, each at the last of its places."""

    def __init__(self, examined):
        self.examined = {one.statement.label: one for one in examined}

    def __getitem__(self, label) -> Examined:
        return self.examined[label]

    def table(self) -> Table:
        """The largest shares of each bound: random problems, the worst function, PEPit."""
        rows = list(self.examined.values())
        return Table(
            {
                "statement": [row.statement.name for row in rows],
                "at": [row.statement.at_last for row in rows],
                "problems": [len(row.bench.values) for row in rows],
                "random": [_share(row.random_shares[-1]) for row in rows],
                "worst function": [_share(row.worst_shares[-1]) for row in rows],
                "PEPit": [_share(row.pep_shares[-1]) for row in rows],
            }
        )


class Refutations(PrintsTable):
    """Runs that break the bound of a statement, each under the name of what is wrong."""

    def __init__(self, column, runs):
        self.column = column  # what the names are
        self.runs = {(one.label, name): (one, run()) for one, name, run in runs}

    def __getitem__(self, label_and_name) -> Refutation:
        return self.runs[label_and_name][1]

    def table(self) -> Table:
        """The example, what it ends with, and what the theorem would promise."""
        runs = [run for _, run in self.runs.values()]
        return Table(
            {
                "statement": [one.name for one, _ in self.runs.values()],
                self.column: [name for _, name in self.runs],
                "example": [run.example for run in runs],
                "steps": [len(run.values) for run in runs],
                "value": [float(f"{run.values[-1]:.2g}") for run in runs],
                "bound": [float(f"{run.bound[-1]:.2g}") for run in runs],
            }
        )


def without_hypotheses(statements) -> Refutations:
    """Run what happens to each statement without each of its hypotheses."""
    return Refutations(
        "without", [(one, *pair) for one in statements for pair in one.hypotheses.items()]
    )


def as_printed(statements) -> Refutations:
    """Run what refutes the bounds that are printed wrong, by erratum."""
    return Refutations(
        "erratum", [(one, *pair) for one in statements for pair in one.misprints.items()]
    )


def examine(statement, rng, n_problems=20) -> Examined:
    """Draw random problems for a statement, run its worst functions, and ask PEPit."""
    bench = statement.instances(rng, n_problems=n_problems)
    by_pep = np.array([statement.by_pep(place) for place in statement.places])
    return Examined(statement, bench, statement.worst_case(statement.places), by_pep)


def _share(share):
    return f"{share:.3f}"
