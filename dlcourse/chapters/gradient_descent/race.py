"""Step rules against each other on problems of different condition numbers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse.convergence.problems import Problem
from dlcourse.optim import Backtracking, ExactLineSearch, GradientDescent
from dlcourse.tables import PrintsTable, Table, rounded

Array = np.ndarray


@dataclass(frozen=True, repr=False)
class Race(PrintsTable):
    """Relative gaps, by problem and step rule, and the condition numbers of the problems."""

    kappas: dict[str, float]
    gaps: dict[str, dict[str, Float[Array, " steps"]]]

    def table(self) -> Table:
        """The share of the first gap that each rule leaves on each problem at the end."""
        rules = list(next(iter(self.gaps.values())))
        columns = {
            "problem": list(self.gaps),
            "κ": [rounded(self.kappas[name]) for name in self.gaps],
        }
        return Table(
            columns
            | {f"{rule}, %": [_percent(g[rule][-1]) for g in self.gaps.values()] for rule in rules}
        )


def gaps_by_step_rule(problems: dict[str, Problem], n_steps, first_step=100.0) -> Race:
    """Run the three step rules on each problem; backtracking starts at `first_step`."""
    gaps = {}
    for name, problem in problems.items():
        rules = {
            "fixed 1/M": 1 / problem.M,
            "backtracking": Backtracking(problem.f, first_step),
            "exact": ExactLineSearch(problem.f, 1 / problem.M),
        }
        gaps[name] = {
            rule: problem.relative_gaps(GradientDescent(step), n_steps)
            for rule, step in rules.items()
        }
    return Race({name: problem.kappa for name, problem in problems.items()}, gaps)


def _percent(share):
    return "below 1e-8" if share < 1e-10 else f"{100 * share:.2g}"
