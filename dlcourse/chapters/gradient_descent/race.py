"""Step rules against each other on problems of different condition numbers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse.convergence import n_steps_needed
from dlcourse.convergence.problems import Problem
from dlcourse.optim import Backtracking, ExactLineSearch, GradientDescent
from dlcourse.tables import PrintsTable, Table, rounded

Array = np.ndarray


@dataclass(frozen=True, repr=False)
class Race(PrintsTable):
    """Relative gaps, by problem and step rule, and the condition numbers of the problems."""

    kappas: dict[str, float]
    gaps: dict[str, dict[str, Float[Array, " steps"]]]

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of the last three problems: the data as recorded, centered
        and standardized. As recorded, how many steps would leave a thousandth of the gap.
        """
        recorded, centered, standardized = list(self.gaps)[-3:]
        needed = n_steps_needed(gap=1.0, target=1e-3, m=1.0, M=self.kappas[recorded])
        left = self.gaps[recorded]
        return {
            "gd_n_steps": f"{len(left['fixed 1/M']) - 1}",
            "gd_kappa_recorded": f"{self.kappas[recorded] / 1e6:.0f} million",
            "gd_kappa_centered": f"{self.kappas[centered] / 1e3:.0f} thousand",
            "gd_kappa_standardized": f"{self.kappas[standardized]:.0f}",
            "gd_k_recorded": f"{needed / 1e6:.0f} million",
            "gd_left_recorded": f"{left['fixed 1/M'][-1]:.0%}",
            "gd_left_backtracking": f"{left['backtracking'][-1]:.0%}",
            "gd_left_standardized": f"{self.gaps[standardized]['fixed 1/M'][-1]:.2%}",
        }

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


def gaps_by_step_rule(problems: dict[str, Problem], n_steps) -> Race:
    """Run the three step rules on each problem; backtracking starts at a step of 100."""
    gaps = {}
    for name, problem in problems.items():
        rules = {
            "fixed 1/M": 1 / problem.M,
            "backtracking": Backtracking(problem.f, first_step=100.0),
            "exact": ExactLineSearch(problem.f, 1 / problem.M),
        }
        gaps[name] = {
            rule: problem.relative_gaps(GradientDescent(step), n_steps)
            for rule, step in rules.items()
        }
    return Race({name: problem.kappa for name, problem in problems.items()}, gaps)


def _percent(share):
    return "below 1e-8" if share < 1e-10 else f"{100 * share:.2g}"
