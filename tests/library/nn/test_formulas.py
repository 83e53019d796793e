"""The formulas that docstrings show, evaluated with the layers' own arguments."""

import numpy as np

from dlcourse import autograd, nn
from dlcourse.nn import initialization

VARIANCE = r"\operatorname{Var}(W_{ij})"


def test_first_weights_have_the_variance_that_they_say(displayed, rng):
    names = {"n_{in}": 500, "n_{out}": 300}
    xavier, he = (f(500, 300, rng).var() for f in (initialization.xavier, initialization.he))
    shown = displayed("dlcourse.nn.initialization.xavier")
    assert shown.holds(names | {VARIANCE: xavier}, rtol=0.01)
    shown = displayed("dlcourse.nn.initialization.he")
    assert shown.holds(names | {VARIANCE: he}, rtol=0.01)


def test_orthogonal_weights_have_the_variance_that_they_say_on_the_average(displayed, rng):
    for n_in, n_out in [(5, 3), (4, 7)]:
        mean_square = np.square(initialization.orthogonal(n_in, n_out, rng)).mean()
        names = {VARIANCE: mean_square, "n_{in}": n_in, "n_{out}": n_out}
        assert displayed("dlcourse.nn.initialization.orthogonal").holds(names)


def test_a_linear_layer_is_its_activation_of_an_affine_map(displayed, rng):
    layer, x = nn.Linear(3, 2, rng, activation=autograd.tanh), rng.normal(size=(4, 3))
    layer.parameters.flat[...] = rng.normal(size=3 * 2 + 2)
    names = {"x": x, "W": layer.weight.data, "b": np.tile(layer.offset.data, (4, 1))}
    names |= {"y": layer.predict(x), r"\phi": np.tanh}
    assert displayed("dlcourse.nn.layers.Linear").holds(names)


def test_a_residual_block_adds_its_input(displayed, rng):
    block, x = nn.Linear(3, 3, rng, activation=autograd.tanh), rng.normal(size=(4, 3))
    names = {"y": nn.Residual(block).predict(x), "x": x, "F": block.predict}
    assert displayed("dlcourse.nn.layers.Residual").holds(names)


def test_batch_normalization_standardizes_and_remembers_a_share(displayed, rng):
    layer, x = nn.BatchNorm(3, rate=0.3, epsilon=0.2), 2 + rng.normal(size=(5, 3))
    layer.parameters.flat[...], layer.running_mean[...] = rng.normal(size=6), rng.normal(size=3)
    names = {"r": layer.running_mean.copy(), r"\rho": 0.3, r"\epsilon": 0.2}
    names |= {"y": layer(x, training=True).data, "r^+": layer.running_mean}
    names |= {"x": x, r"\gamma": layer.gain.data, r"\beta": layer.offset.data}
    names |= {r"\mu": x.mean(axis=0), "v": x.var(axis=0)}
    for i, j in np.ndindex(x.shape):
        assert displayed("dlcourse.nn.normalization.BatchNorm").holds(names | {"i": i, "j": j})
