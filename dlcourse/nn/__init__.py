"""Networks: layers, their first weights, the training loop, and files."""

from dlcourse.nn.initialization import INITIALIZERS, Normal, he, orthogonal, xavier, zero
from dlcourse.nn.layers import MLP, Dropout, Layer, Linear, Residual, Sequential
from dlcourse.nn.normalization import BatchNorm, LayerNorm
from dlcourse.nn.parameters import Parameters
from dlcourse.nn.storage import load, save
from dlcourse.nn.training import History, Recipe, Step, evaluate, fit

__all__ = [
    "INITIALIZERS",
    "MLP",
    "BatchNorm",
    "Dropout",
    "History",
    "Layer",
    "LayerNorm",
    "Linear",
    "Normal",
    "Parameters",
    "Recipe",
    "Residual",
    "Sequential",
    "Step",
    "evaluate",
    "fit",
    "he",
    "load",
    "orthogonal",
    "save",
    "xavier",
    "zero",
]
