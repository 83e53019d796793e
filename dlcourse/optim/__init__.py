"""Optimizers: update rules as frozen records, step rules, and the loop that repeats them."""

from dlcourse.optim.gradient_descent import GradientDescent
from dlcourse.optim.minimize import Descent, minimize
from dlcourse.optim.step_rules import Backtracking, ExactLineSearch

OPTIMIZERS = {"gradient descent": GradientDescent}  # the contract tests run over this table

__all__ = [
    "OPTIMIZERS",
    "Backtracking",
    "Descent",
    "ExactLineSearch",
    "GradientDescent",
    "minimize",
]
