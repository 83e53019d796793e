"""Every convergence theorem of the book: hypotheses, instances, worst case, counterexamples.

The page book/theorems.ipynb, its figures and its tests all run over `STATEMENTS`: a new theorem is
one new entry.
"""

from dlcourse.convergence.statements.gradient_descent import GRADIENT_DESCENT
from dlcourse.convergence.statements.momentum import MOMENTUM
from dlcourse.convergence.statements.statement import (
    Examined,
    Refutations,
    Report,
    Statement,
    as_printed,
    examine,
    without_hypotheses,
)
from dlcourse.convergence.statements.stochastic import STOCHASTIC

STATEMENTS = {
    statement.label: statement for statement in (*GRADIENT_DESCENT, *MOMENTUM, *STOCHASTIC)
}

__all__ = [
    "GRADIENT_DESCENT",
    "MOMENTUM",
    "STATEMENTS",
    "STOCHASTIC",
    "Examined",
    "Refutations",
    "Report",
    "Statement",
    "as_printed",
    "examine",
    "without_hypotheses",
]
