"""The engine: each operation against central differences and against torch, and its errors."""

import gc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcourse import autograd as ag
from dlcourse.autograd.tensor import parameter, sum_to
from dlcourse.gradcheck import check_gradient

torch.set_num_threads(1)
few = settings(max_examples=12, deadline=None, derandomize=True)
functional = torch.nn.functional

UNARY = {  # ours, theirs
    "negative": (ag.negative, torch.neg),
    "square": (ag.square, torch.square),
    "square by **": (lambda x: x**2, lambda x: x**2),
    "cube": (lambda x: x**3, lambda x: x**3),
    "exp": (ag.exp, torch.exp),
    "absolute": (ag.absolute, torch.abs),
    "tanh": (ag.tanh, torch.tanh),
    "sigmoid": (ag.sigmoid, torch.sigmoid),
    "softplus": (ag.softplus, functional.softplus),
    "relu": (ag.relu, torch.relu),
    "sum": (ag.sum, torch.sum),
    "mean": (ag.mean, torch.mean),
    "max": (ag.max, torch.amax),
    "sum of rows": (lambda x: x.sum(-1), lambda x: x.sum(-1)),
    "sum of two axes": (lambda x: x[None].sum((0, -1)), lambda x: x[None].sum((0, -1))),
    "mean of columns": (lambda x: x.mean(0, keepdims=True), lambda x: x.mean(0, keepdim=True)),
    "max of rows": (lambda x: x.max(-1), lambda x: x.amax(-1)),
    "max kept": (lambda x: x.max(0, keepdims=True), lambda x: x.amax(0, keepdim=True)),
    "logsumexp": (ag.logsumexp, lambda x: x.logsumexp(-1)),
    "logsumexp kept": (
        lambda x: ag.logsumexp(x, 0, keepdims=True),
        lambda x: x.logsumexp(0, keepdim=True),
    ),
    "softmax": (ag.softmax, lambda x: x.softmax(-1)),
    "softmax of columns": (lambda x: ag.softmax(x, 0), lambda x: x.softmax(0)),
    "log_softmax": (ag.log_softmax, lambda x: x.log_softmax(-1)),
    "reshape": (lambda x: x.reshape(-1), lambda x: x.reshape(-1)),
    "reshape of transpose": (lambda x: x.T.reshape(-1) * x.reshape(-1), None),
    "transpose": (ag.transpose, lambda x: x.permute(*reversed(range(x.ndim)))),
    "slice": (lambda x: x[1:], lambda x: x[1:]),
    "new axis": (lambda x: x[None, ..., 0], lambda x: x[None, ..., 0]),
    "picked twice": (lambda x: x[np.array([0, -1, 0])], lambda x: x[[0, -1, 0]]),
    "concatenate": (
        lambda x: ag.concatenate([x, x * x, x], -1),
        lambda x: torch.cat([x, x * x, x], -1),
    ),
    "stack": (lambda x: ag.stack([x, ag.exp(x)], 1), lambda x: torch.stack([x, x.exp()], 1)),
    "stack last": (
        lambda x: ag.stack([x, ag.exp(x)], -1),
        lambda x: torch.stack([x, x.exp()], -1),
    ),
    "where": (
        lambda x: ag.where(x > 0.3, x * x, -x),
        lambda x: torch.where(x > 0.3, x * x, -x),
    ),
    "shared": (lambda x: x * x + x * ag.exp(x) - x, lambda x: x * x + x * x.exp() - x),
    "numbers": (lambda x: 2 / (3 - x * 0.5) + 1 - x / 4, lambda x: 2 / (3 - x * 0.5) + 1 - x / 4),
}
POSITIVE = {
    "log": (ag.log, torch.log),
    "sqrt": (ag.sqrt, torch.sqrt),
    "power": (lambda x: x**-1.5, lambda x: x**-1.5),
}
BINARY = {
    "add": (ag.add, torch.add),
    "subtract": (ag.subtract, torch.sub),
    "multiply": (ag.multiply, torch.mul),
    "divide": (ag.divide, torch.div),
    "maximum": (ag.maximum, torch.maximum),
    "minimum": (ag.minimum, torch.minimum),
    "where": (
        lambda x, y: ag.where(y <= 1, x, y),
        lambda x, y: torch.where(y <= 1, x, y),
    ),
}
MATRICES = {  # shapes of both factors
    "matrix, matrix": ((4, 3), (3, 2)),
    "matrix, vector": ((4, 3), (3,)),
    "vector, matrix": ((3,), (3, 2)),
    "vector, vector": ((3,), (3,)),
    "batch, batch": ((5, 4, 3), (5, 3, 2)),
    "batch, matrix": ((5, 4, 3), (3, 2)),
    "matrix, batch": ((4, 3), (5, 3, 2)),
    "batch, one": ((5, 4, 3), (1, 3, 2)),
    "batch, vector": ((5, 4, 3), (3,)),
}
shapes = st.sampled_from([(3,), (1,), (2, 3), (3, 1), (2, 3, 2)])
pairs = st.sampled_from(
    [((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((2, 3), ()), ((3,), (2, 1, 3))]
)
seeds = st.integers(0, 2**32 - 1)


def weighted(f, weights_seed=7):
    """`f` followed by a weighted sum, so that every entry of its result counts differently."""

    def total(*x):
        y = f(*x)
        weights = np.random.default_rng(weights_seed).normal(size=y.shape)
        weights = weights if isinstance(y, ag.Tensor) else torch.from_numpy(np.asarray(weights))
        return (y * weights).sum()

    return total


def ours(f, *arrays):
    """Value and gradients by the engine."""
    tensors = [ag.Tensor(x) for x in arrays]
    value = f(*tensors)
    value.backward()
    return value.data, *(x.grad for x in tensors)


def theirs(f, *arrays):
    """Value and gradients by torch."""
    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    value = f(*tensors)
    value.backward()
    return value.detach().numpy(), *(x.grad.numpy() for x in tensors)


def assert_close(a, b, tolerance=1e-13):
    for x, y in zip(a, b, strict=True):
        assert np.shape(x) == np.shape(y)
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * np.abs(y).max(initial=1))


@pytest.mark.parametrize("name", UNARY)
@given(shapes, seeds)
@few
def test_unary_operations_have_the_right_derivative_and_agree_with_torch(name, shape, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    f, g = UNARY[name]
    check_gradient(ag_function(weighted(f)), x, rng, rtol=1e-5)
    if g is not None:
        assert f(ag.Tensor(x)).shape == tuple(g(torch.from_numpy(x)).shape)
        assert_close(ours(weighted(f), x), theirs(weighted(g), x))


@pytest.mark.parametrize("name", POSITIVE)
@given(shapes, seeds)
@few
def test_operations_on_positive_numbers_have_the_right_derivative(name, shape, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 2, size=shape)
    f, g = POSITIVE[name]
    check_gradient(ag_function(weighted(f)), x, rng)
    assert_close(ours(weighted(f), x), theirs(weighted(g), x))


@pytest.mark.parametrize("name", BINARY)
@given(pairs, st.booleans(), seeds)
@few
def test_binary_operations_broadcast_and_agree_with_torch(name, shape_pair, is_swapped, seed):
    rng = np.random.default_rng(seed)
    shape_pair = shape_pair[::-1] if is_swapped else shape_pair
    x, y = (rng.uniform(0.5, 2, size=shape) for shape in shape_pair)
    f, g = BINARY[name]
    check_gradient(ag_function(lambda x: weighted(f)(x, y)), x, rng, rtol=1e-5)
    check_gradient(ag_function(lambda y: weighted(f)(x, y)), y, rng, rtol=1e-5)
    assert_close(ours(weighted(f), x, y), theirs(weighted(g), x, y))


@pytest.mark.parametrize("name", MATRICES)
def test_matrix_products_agree_with_torch(name, rng):
    x, y = (rng.normal(size=shape) for shape in MATRICES[name])
    check_gradient(ag_function(lambda x: weighted(ag.matmul)(x, y)), x, rng)
    check_gradient(ag_function(lambda y: weighted(ag.matmul)(x, y)), y, rng)
    assert_close(ours(weighted(ag.matmul), x, y), theirs(weighted(torch.matmul), x, y))
    assert_close(ours(weighted(lambda x, y: x @ y), x, y), theirs(weighted(torch.matmul), x, y))


def test_axes_in_another_order_go_back_the_same_way(rng):
    x = rng.normal(size=(2, 3, 4))
    assert_close(
        ours(weighted(lambda x: ag.transpose(x, (2, 0, 1))), x),
        theirs(weighted(lambda x: x.permute(2, 0, 1)), x),
    )


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_affine_maps_agree_with_torch(activation, rng):
    x, W, b = rng.normal(size=(6, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)
    f, after = {"none": (ag.affine, lambda y: y), "relu": (ag.affine_relu, torch.relu)}[activation]
    for i in range(3):

        def alone(v, i=i):
            return weighted(f)(*(v if j == i else a for j, a in enumerate((x, W, b))))

        check_gradient(ag_function(alone), (x, W, b)[i], rng)
    assert_close(
        ours(weighted(f), x, W, b), theirs(weighted(lambda x, W, b: after(x @ W + b)), x, W, b)
    )


def test_losses_agree_with_torch(rng):
    z, y, labels = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    binary = (y > 0).astype(float)
    cases = [
        (ag.mean_squared_error, functional.mse_loss, y),
        (ag.binary_cross_entropy, functional.binary_cross_entropy_with_logits, binary),
        (ag.softmax_cross_entropy, functional.cross_entropy, labels),
    ]
    for f, g, target in cases:
        check_gradient(ag_function(lambda z, f=f, target=target: f(z, target)), z, rng)
        assert_close(
            ours(lambda z, f=f, target=target: f(z, target), z),
            theirs(lambda z, g=g, target=target: g(z, torch.from_numpy(target)), z),
        )
    for f, g, target in (cases[0], (*cases[1][:2], binary)):
        assert_close(ours(f, z, target), theirs(g, z, target))


@pytest.mark.parametrize("axis", [0, 1])
def test_standardization_agrees_with_torch(axis, rng):
    x = rng.normal(2, 3, size=(6, 4))
    if axis == 0:

        def theirs_(x):
            return functional.batch_norm(x, None, None, training=True)

    else:

        def theirs_(x):
            return functional.layer_norm(x, (4,))

    def f(x):
        return ag.standardize(x, axis)[0]

    check_gradient(ag_function(weighted(f)), x, rng)
    assert_close(ours(weighted(f), x), theirs(weighted(theirs_), x))
    _, (mean, variance) = ag.standardize(x, axis)
    np.testing.assert_allclose(mean.squeeze(), x.mean(axis), rtol=1e-14)
    np.testing.assert_allclose(variance.squeeze(), x.var(axis), rtol=1e-14)


def test_dropout_keeps_the_mean_and_sends_the_gradient_through_the_same_mask(rng):
    x = ag.Tensor(np.ones((200, 100)))
    y = ag.dropout(x, 0.25, rng)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)
    values, counts = np.unique(y.data, return_counts=True)
    np.testing.assert_allclose(values, [0, 4 / 3])
    share = counts[0] / y.size
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / y.size)


def ag_function(f):
    return ag.value_and_gradient(f)


# What must not change the answer


def test_extreme_inputs_overflow_nowhere():
    x = np.array([-1000.0, 0.0, 1000.0])
    for f in (ag.sigmoid, ag.softplus, ag.softmax, ag.log_softmax, ag.tanh):
        value, grad = ours(weighted(f), x)
        assert np.isfinite(value)
        assert np.isfinite(grad).all()
    for value in (
        ag.binary_cross_entropy(x, np.array([0.0, 1.0, 1.0])).data,
        ag.softmax_cross_entropy(x[None], np.array([2])).data,
    ):
        assert np.isfinite(value)


def test_slopes_at_kinks_are_zero():
    for f in (ag.absolute, ag.relu):
        assert ours(lambda x, f=f: f(x).sum(), np.zeros(2))[1].tolist() == [0, 0]


def test_the_gradient_of_a_largest_entry_is_shared_among_ties():
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    _, grad = ours(lambda x: x.max(1).sum(), x)
    np.testing.assert_allclose(grad, [[0, 1 / 2, 1 / 2], [1 / 3, 1 / 3, 1 / 3]])


def test_a_gradient_in_its_place_forgets_the_one_before():
    x = parameter(np.array([1.0, 2.0, 3.0]), place=np.empty(3))
    for part, expected in ((x, [2, 4, 6]), (x[:1], [2, 0, 0]), (x[np.array([1, 1])], [0, 8, 0])):
        (part * part).sum().backward()
        np.testing.assert_array_equal(x.place, expected)


def test_both_precisions_stay_what_they_are(rng):
    for dtype in (np.float32, np.float64):
        x = ag.Tensor(rng.normal(size=(3, 2)).astype(dtype))
        for f, _ in UNARY.values():
            y = f(x)
            assert y.dtype == dtype
            y.sum().backward()
            assert x.grad.dtype == dtype


def test_runs_do_not_mix(rng):
    f = ag.value_and_gradient(lambda x: (ag.exp(x) * x).sum(-1))
    x = rng.normal(size=(4, 3))
    values, grads = f(x)
    for i in range(4):
        value, grad = f(x[i])
        np.testing.assert_allclose(values[i], value, rtol=1e-14)
        np.testing.assert_allclose(grads[i], grad, rtol=1e-14)


def test_a_second_backward_replaces_the_gradient(rng):
    x = ag.Tensor(rng.normal(size=3))
    for _ in range(2):
        (x * x).sum().backward()
    np.testing.assert_allclose(x.grad, 2 * x.data)


def test_deep_graphs_need_no_recursion():
    x = ag.Tensor(np.array(1.0))
    y = x
    for _ in range(5_000):
        y = y + x
    y.backward()
    assert x.grad == 5_001


def test_a_graph_is_freed_without_the_garbage_collector(rng):
    gc.collect()
    gc.disable()
    try:
        x = ag.Tensor(rng.normal(size=3))
        before = sum(type(o) is ag.Tensor for o in gc.get_objects())
        for _ in range(3):
            loss = (ag.tanh(x * x) + x).sum()
            loss.backward()
        del loss
        assert sum(type(o) is ag.Tensor for o in gc.get_objects()) == before
    finally:
        gc.enable()


def test_arrays_and_numbers_are_constants(rng):
    x = ag.Tensor(rng.normal(size=3))
    y = x * x.data  # the right factor has stopped the gradient
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, x.data)
    assert not ag.exp(x.data).needs_grad
    assert (np.ones(3) - x).data.tolist() == (1 - x.data).tolist()


def test_the_gradient_of_a_function_is_that_of_its_value_and_gradient(rng):
    x = rng.normal(size=3)

    def f(x):
        return (x * ag.exp(x)).sum()

    np.testing.assert_array_equal(ag.gradient(f, x), ag.value_and_gradient(f)(x)[1])
    np.testing.assert_array_equal(ag.gradient(lambda x: np.array(1.0) + 0 * x[0], x), np.zeros(3))


def test_a_tensor_shows_its_numbers_and_whether_it_is_constant():
    assert repr(ag.Tensor([1.0, 2.5])) == "Tensor([1. , 2.5])"
    assert repr(ag.Tensor([1.0, 2.5]) > 2) == "Tensor([False,  True], constant)"


def test_comparisons_make_masks():
    x = ag.Tensor([0.0, 1.0, 2.0])
    for mask, expected in (
        (x == 1.0, [False, True, False]),
        (x != 1.0, [True, False, True]),
        (x <= 1.0, [True, True, False]),
        (x < 1.0, [True, False, False]),
        (x >= 1.0, [False, True, True]),
        (x > 1.0, [False, False, True]),
    ):
        np.testing.assert_array_equal(mask.data, expected)
    assert len({x, x * 1.0}) == 2  # in a set a tensor is itself, whatever its numbers


# Second derivatives


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hessian_vector_products_agree_with_torch(dtype, rng):
    W = rng.normal(size=(4, 3)).astype(dtype)
    labels = np.array([0, 2, 1, 1, 0])
    X = rng.normal(size=(5, 4)).astype(dtype)

    def network(m, softmax_loss, tanh, softplus, log_sum):
        def f(w):
            hidden = tanh(m(X) @ (m(W) * w[:12].reshape(4, 3))) * w[12:15] + softplus(w[15])
            return softmax_loss(hidden, m(labels)) + log_sum(w * w)

        return f

    f = network(
        lambda a: a, ag.softmax_cross_entropy, ag.tanh, ag.softplus, lambda x: ag.logsumexp(x)
    )
    g = network(
        torch.from_numpy,
        functional.cross_entropy,
        torch.tanh,
        functional.softplus,
        lambda x: x.logsumexp(-1),
    )
    w, v = rng.normal(size=(2, 16)).astype(dtype)
    expected = torch.autograd.functional.hvp(g, torch.from_numpy(w), torch.from_numpy(v))[1].numpy()
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    for scale in (1, dtype(1e-3)):
        product = ag.hessian_vector_product(f, w, scale * v)
        assert product.dtype == dtype
        np.testing.assert_allclose(
            product, scale * expected, rtol=tolerance, atol=scale * tolerance
        )


@pytest.mark.parametrize("name", {**UNARY, **POSITIVE})
def test_every_operation_works_at_complex_points(name, rng):
    f, g = {**UNARY, **POSITIVE}[name]
    if g is None:
        return
    x, v = rng.uniform(0.5, 2, size=(2, 3, 2))
    ours = ag.hessian_vector_product(lambda x: weighted(f)(x * x), x, v)
    theirs = torch.autograd.functional.hvp(
        lambda x: weighted(g)(x * x), torch.from_numpy(x), torch.from_numpy(v)
    )[1].numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", BINARY)
def test_every_operation_of_two_works_at_complex_points(name, rng):
    f, g = BINARY[name]
    x, v = rng.uniform(0.5, 2, size=(2, 3, 2))
    ours = ag.hessian_vector_product(lambda x: weighted(f)(x * x, x[:, :1]), x, v)
    theirs = torch.autograd.functional.hvp(
        lambda x: weighted(g)(x * x, x[:, :1]), torch.from_numpy(x), torch.from_numpy(v)
    )[1].numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_hessian_of_standardization_and_affine_relu_agrees_with_torch(rng):
    X, y = rng.normal(size=(6, 2)), rng.normal(size=(6, 2))

    def ours(w):
        z = ag.standardize(ag.affine_relu(X, w[:4].reshape(2, 2), w[4:]), 0)[0]
        return ag.mean_squared_error(z, y) + ag.binary_cross_entropy(z, (y > 0).astype(float))

    def theirs(w):
        z = torch.relu(torch.from_numpy(X) @ w[:4].reshape(2, 2) + w[4:])
        z = functional.batch_norm(z, None, None, training=True)
        target = torch.from_numpy(y)
        return functional.mse_loss(z, target) + functional.binary_cross_entropy_with_logits(
            z, (target > 0).double()
        )

    w = rng.normal(size=6)
    expected = torch.autograd.functional.hessian(theirs, torch.from_numpy(w)).numpy()
    np.testing.assert_allclose(ag.hessian(ours, w), expected, rtol=1e-10, atol=1e-10)


# Errors


def test_integers_are_refused_with_the_cure():
    with pytest.raises(ValueError, match="must hold floats.*dtype=float"):
        ag.Tensor([1, 2])
    with pytest.raises(ValueError, match="must hold floats, got dtype int64.*astype"):
        ag.Tensor([1.0]) + np.array([1])
    with pytest.raises(ValueError, match="must hold floats, got dtype int64.*astype"):
        ag.binary_cross_entropy(ag.Tensor([1.0]), np.array([1]))


def test_nan_is_refused_at_the_door_and_at_the_loss():
    with pytest.raises(ValueError, match="must be finite"):
        ag.Tensor([1.0, np.nan])
    x = ag.Tensor([-1.0])
    with np.errstate(invalid="ignore"):
        loss = ag.log(x).sum()
    with pytest.raises(ValueError, match="The loss is nan.*learning rate"):
        loss.backward()


def test_mixed_precision_is_refused_with_the_cure():
    with pytest.raises(ValueError, match=r"one precision, got float32 and float64.*astype"):
        ag.Tensor(np.ones(2, np.float32)) * ag.Tensor(np.ones(2))
    x, W, b = np.ones((1, 2)), np.ones((2, 1)), np.ones(1)
    for mixed in ((x, W.astype("f"), b), (x, W, b.astype("f"))):
        with pytest.raises(ValueError, match="one precision"):
            ag.affine(*mixed)
    with pytest.raises(ValueError, match="one precision"):
        ag.concatenate([x, ag.Tensor(x.astype("f"))])


def test_backward_from_many_numbers_is_refused():
    with pytest.raises(ValueError, match=r"single number, got shape \(2,\).*mean"):
        (ag.Tensor([1.0, 2.0]) * 2).backward()


def test_backward_from_a_constant_is_refused():
    with pytest.raises(ValueError, match="Nothing leads to this tensor"):
        ag.exp(np.array(1.0)).backward()


def test_backward_twice_is_refused():
    x = ag.Tensor([1.0, 2.0])
    hidden = x * x
    loss = hidden.sum()
    loss.backward()
    with pytest.raises(ValueError, match="has run through this graph before"):
        loss.backward()
    with pytest.raises(ValueError, match="has run through this graph before"):
        hidden.mean().backward()


def test_changing_a_tensor_in_place_is_refused():
    source = np.array([1.0, 2.0])
    x = ag.Tensor(source)
    source[0] = 9.0  # a copy was taken
    y = x * x
    with pytest.raises(ValueError, match="changed in place.*where"):
        x[0] = 5.0
    for tensor in (x, y, y[1:], y.reshape(2, 1)):
        with pytest.raises(ValueError, match="read-only"):
            tensor.data[0] = 5.0
        with pytest.raises(ValueError, match="read-only"):
            np.add(tensor.data, 1.0, out=tensor.data)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])


@pytest.mark.bad_input
def test_wrong_shapes_are_refused_with_the_cure():
    W, b = ag.Tensor(np.ones((2, 1))), ag.Tensor(np.ones(1))
    with pytest.raises(ValueError, match=r"column \(n, 1\)\? Use `.ravel"):
        ag.mean_squared_error(ag.affine(np.ones((4, 2)), W, b), np.ones(4))
    with pytest.raises(ValueError, match=r"x\[:, None\]"):
        ag.affine(np.ones(4), W, b)
    with pytest.raises(ValueError, match=r"offsets \(1, k\)\? Use `.ravel"):
        ag.affine(np.ones((4, 2)), W, ag.Tensor(np.ones((1, 1))))
    for W_b in ((np.ones(2), np.array(1.0)), (np.ones((2, 1, 1)), np.ones((1, 1)))):
        with pytest.raises(ValueError, match=r"`W` \(p, k\)"):
            ag.affine(np.ones((4, 2)), *W_b)
    with pytest.raises(ValueError, match=r"column \(n, 1\)\? Use `.ravel"):
        ag.binary_cross_entropy(np.ones((4, 1)), np.ones(4))
    with pytest.raises(ValueError, match="rows of the right one"):
        ag.matmul(np.ones((4, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="or one a run"):
        ag.value_and_gradient(lambda x: x)(np.ones((4, 2)))


@pytest.mark.bad_input
def test_wrong_labels_are_refused_with_the_cure():
    logits = np.zeros((2, 3))
    with pytest.raises(ValueError, match="argmax"):
        ag.softmax_cross_entropy(logits, np.eye(2, 3))
    for labels in (np.array([0.0, 1.0]), np.array([0, 3]), np.array([-1, 0])):
        with pytest.raises(ValueError, match="integers from 0 to 2.*np.unique"):
            ag.softmax_cross_entropy(logits, labels)


@pytest.mark.bad_input
def test_a_variable_exponent_and_a_wrong_probability_are_refused(rng):
    with pytest.raises(ValueError, match="exp\\(exponent"):
        ag.power(ag.Tensor([1.0]), ag.Tensor([2.0]))
    with pytest.raises(ValueError, match="probability of dropping"):
        ag.dropout(np.ones(2), 1.0, rng)


# A planted bug


def test_a_planted_error_of_one_permille_fails_the_check(rng):
    @ag.operation(1)
    def wrong_exp(x):
        y = np.exp(x)
        return y, lambda g: g * 1.001 * y

    with pytest.raises(AssertionError, match="says slope"):
        check_gradient(ag_function(weighted(wrong_exp)), rng.normal(size=3), rng)


def test_summing_back_undoes_broadcasting(rng):
    g = rng.normal(size=(4, 2, 3))
    np.testing.assert_allclose(sum_to(g, (2, 1)), g.sum((0, 2))[:, None])
    np.testing.assert_allclose(sum_to(g, ()), g.sum())
