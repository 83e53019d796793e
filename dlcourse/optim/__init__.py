"""Optimizers: update rules as frozen records, step rules, and the loops that repeat them."""

from dlcourse.optim.adam import Adam, AdamW, AMSGrad
from dlcourse.optim.gradient_descent import GradientDescent
from dlcourse.optim.minimize import Descent, minimize, walk
from dlcourse.optim.momentum import GrowingMomentum, HeavyBall, Nesterov
from dlcourse.optim.muon import Muon, jordan_scale, moonlight_scale, newton_schulz
from dlcourse.optim.partition import Partition, Piece, muon_for_hidden
from dlcourse.optim.schedules import (
    Constant,
    Cosine,
    InverseDecay,
    PolynomialDecay,
    StepDecay,
    WarmUp,
)
from dlcourse.optim.step_rules import Backtracking, ExactLineSearch
from dlcourse.optim.stochastic import SGD

# The contract tests run over this table. `GradientDescent` has no in-place `update`: SGD has.
OPTIMIZERS = {
    "gradient descent": GradientDescent,
    "SGD": SGD,
    "heavy ball": HeavyBall,
    "Nesterov": Nesterov,
    "Adam": Adam,
    "AMSGrad": AMSGrad,
    "AdamW": AdamW,
    "Muon": Muon,
}

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "AMSGrad",
    "Adam",
    "AdamW",
    "Backtracking",
    "Constant",
    "Cosine",
    "Descent",
    "ExactLineSearch",
    "GradientDescent",
    "GrowingMomentum",
    "HeavyBall",
    "InverseDecay",
    "Muon",
    "Nesterov",
    "Partition",
    "Piece",
    "PolynomialDecay",
    "StepDecay",
    "WarmUp",
    "jordan_scale",
    "minimize",
    "moonlight_scale",
    "muon_for_hidden",
    "newton_schulz",
    "walk",
]
