"""The scalar engine: against central differences, against torch, and against the array engine."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dlcourse import autograd as ag
from dlcourse.autograd import value
from dlcourse.autograd.value import Value
from dlcourse.gradcheck import check_gradient

EXPRESSIONS = {  # the same text for floats, values and torch
    "sum": lambda x, y: x + y + 2 + x,
    "difference": lambda x, y: 3 - x - y - 1,
    "product": lambda x, y: 2 * x * y * x * 0.5,
    "quotient": lambda x, y: 1 / x + x / y / 2,
    "power": lambda x, y: x**3 + y**-0.5,
    "exp": lambda x, y: (x * y).exp() * x,
    "log": lambda x, y: (x + y * y).log() * y,
    "tanh": lambda x, y: (x - y).tanh() + x,
    "relu": lambda x, y: (x - y).relu() * x + (y - x).relu() * y,
    "negative": lambda x, y: -(x * -y),
}


def at(f, point):
    """Value and gradient of `f` at a point (2,)."""
    x, y = (Value(float(number)) for number in point)
    z = f(x, y)
    z.backward()
    return np.float64(z.data), np.array([x.grad, y.grad])


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_operations_have_the_right_derivative_and_agree_with_torch(name, rng):
    f = EXPRESSIONS[name]
    for point in rng.uniform(0.5, 2, size=(5, 2)):
        check_gradient(lambda p: at(f, p), point, rng)
        tensors = torch.tensor(point, requires_grad=True)
        z = f(*tensors)
        z.backward()
        ours, gradient = at(f, point)
        np.testing.assert_allclose(ours, z.item(), rtol=1e-14)
        np.testing.assert_allclose(gradient, tensors.grad.numpy(), rtol=1e-13)


def test_a_dot_product_is_its_products_and_sums_in_one_node(rng):
    xs, ys = ([Value(float(number)) for number in rng.normal(size=4)] for _ in range(2))
    xs[3] = ys[0]  # a value may stand on both sides
    start = Value(0.5)
    one, many = value.dot(xs, ys, start), start
    for x, y in zip(xs, ys, strict=True):
        many = many + x * y
    gradients = []
    for result in (one, many):
        result.backward()
        gradients.append([x.grad for x in (*xs, *ys, start)])
    assert one.data == many.data
    np.testing.assert_allclose(*gradients, rtol=1e-15)


def test_a_network_of_values_agrees_with_the_array_engine(rng):
    W1, W2, X = rng.normal(size=(3, 4)), rng.normal(size=(4, 1)), rng.normal(size=(5, 3))
    w1, w2 = ([[Value(w) for w in row] for row in W.tolist()] for W in (W1, W2))
    loss = 0.0
    for x in X.tolist():
        hidden = [sum(a * row[j] for a, row in zip(x, w1, strict=True)).tanh() for j in range(4)]
        loss = loss + sum(h * row[0] for h, row in zip(hidden, w2, strict=True)) ** 2 / 5
    loss.backward()
    A1, A2 = ag.Tensor(W1), ag.Tensor(W2)
    array_loss = ag.mean_squared_error(ag.tanh(X @ A1) @ A2, np.zeros((5, 1)))
    array_loss.backward()
    assert math.isclose(loss.data, float(array_loss), rel_tol=1e-13)
    for ours, theirs in ((w1, A1), (w2, A2)):
        np.testing.assert_allclose([[w.grad for w in row] for row in ours], theirs.grad, rtol=1e-12)


def test_paths_that_meet_add_up_and_a_second_backward_replaces_the_gradient():
    x = Value(3.0)
    y = x * x + x
    for _ in range(2):
        y.backward()
        assert x.grad == 7.0


def test_deep_graphs_need_no_recursion():
    y = x = Value(1.0)
    for _ in range(5_000):
        y = y + x
    y.backward()
    assert x.grad == 5_001


def test_the_engine_fits_on_a_page():
    assert len(Path(value.__file__).read_text().splitlines()) < 100


def test_a_value_shows_its_number_and_its_gradient():
    assert repr(Value(0.5)) == "Value(0.5, grad=0)"


def test_a_planted_error_of_one_permille_fails_the_check(rng):
    def wrong_square(x, y):
        return Value(x.data**2, (x,), (2.002 * x.data,)) + y

    with pytest.raises(AssertionError, match="says slope"):
        check_gradient(lambda p: at(wrong_square, p), np.array([1.0, 2.0]), rng)


# The drawing of both kinds of graph


def test_a_drawing_of_values_shows_slopes_and_gradients():
    x, y = Value(2.0), Value(5.0)
    z = x * y
    z.backward()
    source = ag.graphviz(z, names={"x": x, "y": y, "loss": z})
    assert r'n0 [label="x = 2\ngradient 5", shape=ellipse]' in source
    assert r'n2 [label="loss = 10\ngradient 1", shape=box]' in source
    assert 'n0 -> n2 [label="5"]' in source
    assert 'n1 -> n2 [label="2"]' in source


def test_a_drawing_of_tensors_shows_operations_and_shapes():
    W, b = ag.Tensor(np.ones((3, 2))), ag.Tensor(np.ones(2))
    hidden = ag.affine_relu(np.ones((4, 3)), W, b)
    source = ag.graphviz((hidden * hidden).sum(), names={"W": W, 'the "b"': b})
    assert r'n0 [label="W: variable\nshape (3, 2)", shape=ellipse]' in source
    assert r"the \"b\"" in source
    assert r'n2 [label="affine_relu\nshape (4, 2)", shape=box]' in source
    assert r'n3 [label="multiply\nshape (4, 2)", shape=box]' in source
    assert r'n4 [label="sum\nshape ()", shape=box]' in source
    assert source.count("->") == 2 + 2 + 1
