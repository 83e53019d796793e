"""Where an engine is easily wrong: axes, masks, infinities, ties, nesting, NumPy's functions."""

import warnings
from itertools import permutations

import numpy as np
import pytest
import torch

from dlcourse import autograd as ag
from dlcourse.autograd.tensor import parameter
from tests.library.autograd.test_operations import assert_close, ours, theirs, weighted

torch.set_num_threads(1)
functional = torch.nn.functional
inf, nan = np.inf, np.nan
pytestmark = pytest.mark.filterwarnings("ignore:(divide|invalid|overflow):RuntimeWarning")


def slope(f, x, dtype=float):
    """The gradient of the sum of f at x."""
    x = ag.Tensor(np.asarray(x, dtype))
    ag.sum(f(x)).backward()
    assert x.grad.dtype == dtype
    return x.grad


# Axes


REDUCTIONS = {  # ours, theirs
    "sum": (ag.sum, torch.sum),
    "mean": (ag.mean, torch.mean),
    "max": (ag.max, torch.amax),
    "min": (ag.min, torch.amin),
    "var": (ag.var, lambda x, *a: torch.var(x, *a, correction=0)),
    "std": (ag.std, lambda x, *a: torch.std(x, *a, correction=0)),
    "logsumexp": (ag.logsumexp, torch.logsumexp),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [0, -1, -2, (0, 2), (-1, 0), [1, -1], (0, 1, 2), np.int64(1)])
def test_reductions_take_negative_axes_and_several(name, axis, rng):
    f, g = REDUCTIONS[name]
    x = rng.normal(size=(2, 3, 4))
    dims = tuple(axis) if isinstance(axis, list | tuple) else int(axis)
    a, b = (lambda x: f(x, axis)), (lambda x: g(x, dims))
    assert f(x, axis).shape == tuple(g(torch.from_numpy(x), dims).shape)
    assert_close(ours(weighted(a), x), theirs(weighted(b), x))
    kept = f(x, axis, keepdims=True)
    np.testing.assert_array_equal(kept.data.ravel(), f(x, axis).data.ravel())
    assert kept.ndim == 3


@pytest.mark.parametrize("axes", list(permutations((0, 1, 2))))
@pytest.mark.parametrize("lowered", [(0,), (1, 2), (0, 1, 2)])
def test_axes_counted_from_the_end_are_the_same_axes(axes, lowered, rng):
    x = rng.normal(size=(3, 3, 3))
    from_end = [a - 3 if a in lowered else a for a in axes]
    a, b = (lambda x: ag.transpose(x, from_end)), (lambda x: x.permute(*axes))
    assert_close(ours(weighted(a), x), theirs(weighted(b), x))


@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_shapes_take_negative_axes(axis, rng):
    x = rng.normal(size=(2, 3))
    pairs = [(lambda x: ag.stack([x, x * x], axis), lambda x: torch.stack([x, x * x], axis))]
    if axis > -3:
        pairs += [
            (
                lambda x: ag.concatenate([x, x * x], axis),
                lambda x: torch.cat([x, x * x], axis),
            ),
            (lambda x: ag.softmax(x, axis), lambda x: x.softmax(axis)),
            (lambda x: ag.log_softmax(x, axis), lambda x: x.log_softmax(axis)),
        ]
    for f, g in pairs:
        assert_close(ours(weighted(f), x), theirs(weighted(g), x))


def test_standardization_takes_negative_axes(rng):
    x = rng.normal(size=(4, 3))
    for axis in (0, 1):
        f, g = ((lambda x, a=a: ag.standardize(x, a)[0]) for a in (axis, axis - 2))
        assert_close(ours(weighted(f), x), ours(weighted(g), x))


def test_axes_that_are_not_there_are_refused(rng):
    for f, _ in REDUCTIONS.values():
        for x, axis in ((np.ones((2, 3)), 2), (np.ones((2, 3)), (0, -3)), (np.array(1.0), -1)):
            with pytest.raises(ValueError, match="`axis` must lie within"):
                f(x, axis)
        with pytest.raises(ValueError, match="each axis once"):
            f(np.ones((2, 3)), (1, -1))
    with pytest.raises(ValueError, match="leave out `axis`"):
        ag.softmax(np.array(1.0))
    with pytest.raises(ValueError, match="out of bounds"):
        ag.transpose(np.ones((2, 3)), (0, 2))


def test_nothing_has_no_mean_and_no_largest_entry_but_a_sum():
    assert ag.sum(np.ones((0, 3))).data == 0
    np.testing.assert_array_equal(ag.sum(np.ones((0, 3)), 0).data, np.zeros(3))
    for f in (ag.mean, ag.max, ag.min, ag.var, ag.std, ag.logsumexp):
        with pytest.raises(ValueError, match="Nothing to reduce"):
            f(np.ones((0, 3)), 0)
    for f in (ag.mean_squared_error, ag.binary_cross_entropy):
        with pytest.raises(ValueError, match="no rows"):
            f(np.ones((0, 3)), np.ones((0, 3)))
    with pytest.raises(ValueError, match="at least one row"):
        ag.softmax_cross_entropy(np.ones((0, 3)), np.ones(0, int))
    with pytest.raises(ValueError, match="more than ddof=1"):
        ag.var(np.ones(1), ddof=1)


def test_a_vector_times_a_vector_is_a_number(rng):
    x = rng.normal(size=3)
    assert (ag.Tensor(x) @ x).shape == ()
    np.testing.assert_allclose(ag.gradient(lambda x: x @ x, x), 2 * x)
    assert (ag.Tensor(np.ones((5, 2, 3))) @ x).shape == (5, 2)
    assert (x @ ag.Tensor(np.ones((5, 3, 2)))).shape == (5, 2)


# Masks


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_meet_a_mask_stay_numbers(dtype):
    x = ag.Tensor(np.array([-1.0, 2.0], dtype))
    mask = x > 0
    for y, expected in (
        (mask * 0.5, [0, 0.5]),
        (0.5 * mask, [0, 0.5]),
        (mask + 0.5, [0.5, 1.5]),
        (0.5 - mask, [0.5, -0.5]),
        (mask / 4, [0, 0.25]),
        (-mask, [0, -1]),
        (mask * mask, [0, 1]),
        (mask * x, [0, 2]),
        (mask.mean(), 0.5),
        (mask.sum(), 1),
        (ag.where(mask, 0.25, 0.5), [0.5, 0.25]),
        (ag.where(mask, x, 0.5), [0.5, 2]),
        (ag.where(np.array([True, False]), x, 0.25), [-1, 0.25]),
        (ag.where(np.array([1.0, 0.0]), x, 0.25), [-1, 0.25]),
        (ag.maximum(mask, 0.5), [0.5, 1]),
        (ag.exp(mask), [1, np.e]),
        (x * np.array([True, False]), [-1, 0]),
    ):
        assert y.dtype == dtype
        np.testing.assert_allclose(y.data, expected, rtol=1e-6)
    assert mask.dtype == bool
    for both, expected in (
        (mask & (x < 1), [False, False]),
        (mask | (x < 1), [True, True]),
        (~mask, [True, False]),
        (np.logical_not(mask), [True, False]),
        (mask & np.array([True, True]), [False, True]),
    ):
        np.testing.assert_array_equal(both.data, expected)
        assert (both * 0.5).dtype == dtype
    np.testing.assert_array_equal(slope(lambda x: x[x > 0] * 3.0, [-1, 2], dtype), [0, 3])


# Infinities


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_masked_out_does_not_meet_an_infinite_slope(dtype):
    for f, at, expected in (
        (lambda x: ag.sqrt(ag.relu(x)), [-1, 0, 4], [0, 0, 0.25]),
        (lambda x: ag.log(ag.relu(x) + 0.0), [2], [0.5]),
        (lambda x: ag.where(x > 0, ag.sqrt(x), 0.0), [-1, 0, 4], [0, 0, 0.25]),
        (lambda x: ag.where(x > 0, ag.log(x), 0.0), [-1, 0, 4], [0, 0, 0.25]),
        (lambda x: ag.where(x > 0, x * ag.log(x), 0.0), [0, 1], [0, 1]),
        (lambda x: ag.where(x > 0, x**-0.5, 0.0), [0, 1], [0, -0.5]),
        (lambda x: ag.where(x > 0, 1 / x, 0.0), [0, 1], [0, -1]),
        (lambda x: ag.where(x > 0, x / x, 0.0), [0, 1], [0, 0]),
        (lambda x: ag.where(x < 0, ag.exp(x), 0.0), [1e5, 0, -1e5], [0, 0, 0]),
        (lambda x: ag.sqrt(ag.maximum(x, 0.0)), [-1, 4], [0, 0.25]),
        (lambda x: ag.sqrt(ag.clip(x, 0.0, 9.0)), [-1, 4, 10], [0, 0.25, 0]),
        (lambda x: ag.sqrt(ag.absolute(x)), [0, 4], [0, 0.25]),
        (lambda x: ag.sqrt(x * x), [0, 4], [0, 1]),
        (lambda x: ag.sqrt((x * x).sum()), [0, 0], [0, 0]),
        (ag.std, [1, 1, 1], [0, 0, 0]),
        (lambda x: x**0, [0, 2], [0, 0]),
        (lambda x: x**1, [0, 2], [1, 1]),
        (lambda x: x**2.0, [0, 2], [0, 4]),
    ):
        np.testing.assert_allclose(slope(f, at, dtype), expected, rtol=1e-6)


def test_infinities_and_nan_come_out_as_numpy_and_torch_have_them():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for f, g in REDUCTIONS.values():
            for row in ([-inf, -inf], [inf, 1], [-inf, 1], [inf, inf], [nan, 1], [-inf, inf]):
                x = np.array([row, [1.0, 2.0]])
                expected = g(torch.from_numpy(x), -1).numpy()
                np.testing.assert_allclose(f(x, -1).data, expected, rtol=1e-14)
        pairs = np.array([nan, 1, inf, -inf, 0]), np.array([1, nan, nan, 2, inf])
        for f, g in ((ag.maximum, np.maximum), (ag.minimum, np.minimum)):
            np.testing.assert_array_equal(f(*pairs).data, g(*pairs))
    x = parameter(np.array([[-inf, -inf], [0.0, 0.0]]), place=None)
    ag.where(np.array([False, True]), ag.logsumexp(x, 1), 0.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 0], [0.5, 0.5]])


@pytest.mark.parametrize(("dtype", "left"), [(np.float32, -80.0), (np.float64, -700.0)])
def test_the_sigmoid_keeps_its_digits_far_to_the_left(dtype, left):
    x = np.array([left, left / 2, -20.0, -1.0, 0.0, 3.0], dtype)
    exact = 1 / (1 + np.exp(-x.astype(np.longdouble)))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(ag.sigmoid(x).data, exact.astype(float), rtol=4 * eps)
    np.testing.assert_allclose(
        ag.log(ag.sigmoid(x)).data, np.log(exact).astype(float), rtol=4 * eps, atol=eps
    )
    np.testing.assert_allclose(
        slope(lambda x: ag.log(ag.sigmoid(x)), x, dtype), 1 - exact, rtol=1e-5
    )
    assert (-ag.softplus(-ag.Tensor(np.array([-1e4], dtype)))).item() == -1e4


def test_cross_entropy_of_certain_logits_is_zero_where_they_are_right():
    z, y = np.array([inf, -inf, 800.0, -800.0]), np.array([1.0, 0.0, 1.0, 0.0])
    assert ag.binary_cross_entropy(z, y).data == 0
    z = np.array([40.0, -40.0])
    loss = ag.binary_cross_entropy(z, np.array([1.0, 0.0])).data
    np.testing.assert_allclose(loss, np.log1p(np.exp(-40)), rtol=1e-14)


# Curvature


CURVED = {  # ours, theirs, points with kinks and edges among them
    "softplus squared": (
        lambda x: ag.softplus(x) ** 2,
        lambda x: functional.softplus(x) ** 2,
        [0.0, -40.0, 40.0, 1.0],
    ),
    "relu cubed": (lambda x: ag.relu(x) ** 3, lambda x: x.relu() ** 3, [0.0, -1.0, 2.0]),
    "absolute squared": (lambda x: ag.absolute(x) ** 2, lambda x: x.abs() ** 2, [-1.0, 2.0]),
    "log near 0": (ag.log, torch.log, [1e-30, 1e-18, 1.0]),
    "log1p": (lambda x: ag.log1p(x) ** 2, lambda x: x.log1p() ** 2, [1e-12, 0.0, 3.0]),
    "sqrt near 0": (ag.sqrt, torch.sqrt, [1e-18, 1e-9, 1.0]),
    "sin and cos": (lambda x: ag.sin(x) * ag.cos(x), lambda x: x.sin() * x.cos(), [0.0, 2.0]),
    "sigmoid squared": (lambda x: ag.sigmoid(x) ** 2, lambda x: x.sigmoid() ** 2, [0.0, -30.0]),
    "two to the x": (lambda x: 2**x, lambda x: 2**x, [0.0, 3.0]),
    "101st power": (lambda x: x**101, lambda x: x**101, [-1.0, 1.01]),
    "power 0": (lambda x: x**0, lambda x: x**0, [0.0, -2.0]),
    "clip": (
        lambda x: ag.clip(x, -1, 1) ** 2,
        lambda x: x.clamp(-1, 1) ** 2,
        [0.5, -2.0, 3.0],
    ),
    "variance": (ag.var, lambda x: x.var(correction=0), [1.0, 2.0, 4.0]),
    "largest": (lambda x: ag.max(x) ** 2, lambda x: x.amax() ** 2, [1.0, 3.0, 2.0]),
    "smallest": (lambda x: ag.min(x) ** 3, lambda x: x.amin() ** 3, [1.0, 3.0, 2.0]),
    "logsumexp": (lambda x: ag.logsumexp(x), lambda x: x.logsumexp(-1), [0.0, 0.0, 800.0, -5.0]),
}


@pytest.mark.parametrize("name", CURVED)
@pytest.mark.parametrize("sign", [1, -1])
def test_curvature_agrees_with_torch_at_kinks_and_edges_too(name, sign, rng):
    f, g, x = CURVED[name]
    x, v = np.array(x), sign * rng.uniform(0.5, 1.5, size=len(x))
    total = weighted(lambda x: ag.reshape(f(x), (-1,)))
    expected = torch.autograd.functional.hvp(
        weighted(lambda x: g(x).reshape(-1)), torch.from_numpy(x), torch.from_numpy(v)
    )[1]
    np.testing.assert_allclose(
        ag.hessian_vector_product(total, x, v), expected.numpy(), rtol=1e-10, atol=1e-300
    )


KINKS = {
    "relu": (lambda x: (ag.relu(x) + x) ** 2, [0.0]),
    "absolute": (lambda x: (ag.absolute(x) + x) ** 2, [0.0]),
    "softplus": (lambda x: ag.softplus(x) ** 2, [0.0]),
    "max": (lambda x: ag.max(x) ** 2, [2.0, 2.0]),
    "min": (lambda x: ag.min(x) ** 2, [2.0, 2.0]),
    "maximum": (lambda x: ag.maximum(x, 2.0) ** 2, [2.0, 2.0]),
    "minimum": (lambda x: ag.minimum(x, 2.0) ** 2, [2.0, 2.0]),
    "clip": (lambda x: ag.clip(x, 0.0, 2.0) ** 2, [0.0, 2.0]),
    "logsumexp": (lambda x: ag.logsumexp(x) ** 2, [2.0, 2.0]),
    "softmax": (lambda x: ag.softmax(x) ** 2, [2.0, 2.0]),
    "binary cross-entropy": (
        lambda x: ag.binary_cross_entropy(x, np.array([1.0, 0.0])) ** 2,
        [0.0, 0.0],
    ),
    "affine relu": (
        lambda x: (ag.affine_relu(x[None], np.eye(2), np.zeros(2)) + x) ** 2,
        [0.0, 0.0],
    ),
}


@pytest.mark.parametrize("name", KINKS)
def test_at_a_kink_the_curvature_is_linear_in_the_direction(name, rng):
    f, x = KINKS[name]
    x, v = np.array(x), rng.normal(size=len(x))
    forward, back = (ag.hessian_vector_product(lambda x: ag.sum(f(x)), x, s * v) for s in (1, -1))
    np.testing.assert_allclose(forward, -back, rtol=1e-12)
    assert np.isfinite(forward).all()


def test_softplus_squared_at_zero_has_its_known_curvature():
    product = ag.hessian_vector_product(
        lambda x: (ag.softplus(x) ** 2).sum(), np.zeros(1), np.ones(1)
    )
    np.testing.assert_allclose(product, 0.5 + np.log(2) / 2, rtol=1e-14)


def test_where_a_function_is_not_defined_so_is_its_curvature():
    for f in (ag.sqrt, ag.log, ag.log1p, lambda x: x**0.5):
        with np.errstate(all="ignore"), pytest.raises(ValueError, match="The loss is nan"):
            ag.hessian_vector_product(lambda x, f=f: f(x).sum(), np.array([-2.0]), np.ones(1))


@pytest.mark.bad_input
def test_a_gradient_in_a_gradient_is_refused_with_the_cure(rng):
    x = rng.normal(size=3)

    def inner_of_outer(x):
        return (x * ag.gradient(lambda y: (y * y * x).sum(), np.ones(3))).sum()

    def inner_at_outer(x):
        return (ag.gradient(lambda y: (y * y).sum(), x) * x).sum()

    def inner_of_result(x):
        z = x * x
        return (x * ag.gradient(lambda y: (y * z).sum(), np.ones(3))).sum()

    for f in (inner_of_outer, inner_at_outer, inner_of_result):
        for derivative in (
            ag.gradient,
            lambda f, x: ag.hessian_vector_product(f, x, np.ones(3)),
        ):
            with pytest.raises(ValueError, match="inside of another.*hessian_vector_product"):
                derivative(f, x)
    constants = ag.gradient(lambda y: (y * y).sum(), np.ones(3))
    apart = ag.gradient(
        lambda x: (x * ag.gradient(lambda y: (y * y).sum(), np.ones(3))).sum(), np.ones(3)
    )
    np.testing.assert_array_equal(apart, constants)  # nothing of the outer one in it


# What a learner types in the first hour


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_numpy_take_tensors_and_keep_the_gradient(dtype, rng):
    values = rng.uniform(0.5, 2, size=(3, 4)).astype(dtype)
    for f, g in (
        (np.exp, torch.exp),
        (np.log, torch.log),
        (np.log1p, torch.log1p),
        (np.sqrt, torch.sqrt),
        (np.abs, torch.abs),
        (np.sin, torch.sin),
        (np.cos, torch.cos),
        (np.tanh, torch.tanh),
        (np.square, torch.square),
        (np.negative, torch.neg),
        (np.sum, torch.sum),
        (np.mean, torch.mean),
        (np.max, torch.amax),
        (np.min, torch.amin),
        (lambda x: np.sum(x, axis=-1), lambda x: x.sum(-1)),
        (lambda x: np.var(x, axis=0), lambda x: x.var(0, correction=0)),
        (lambda x: np.std(x, axis=[0]), lambda x: x.std(0, correction=0)),
        (lambda x: np.std(x, 0, ddof=1, keepdims=True), lambda x: x.std(0, keepdim=True)),
        (lambda x: np.max(x, axis=1, keepdims=True), lambda x: x.amax(1, keepdim=True)),
        (lambda x: np.min(x, axis=0, keepdims=True), lambda x: x.amin(0, keepdim=True)),
        (lambda x: np.clip(x, 0.7, 1.1), lambda x: x.clamp(0.7, 1.1)),
        (lambda x: np.where(x > 1, x, 0.0), lambda x: torch.where(x > 1, x, 0.0)),
        (lambda x: np.maximum(x, 1.0), lambda x: x.clamp(min=1.0)),
        (lambda x: np.power(x, 3), lambda x: x**3),
        (lambda x: np.reshape(x, (4, 3)), lambda x: x.reshape(4, 3)),
        (np.transpose, lambda x: x.T),
        (lambda x: np.concatenate([x, x]), lambda x: torch.cat([x, x])),
        (lambda x: np.stack([x, x], axis=1), lambda x: torch.stack([x, x], 1)),
        (lambda x: np.ravel(x) @ np.ravel(x), lambda x: x.ravel() @ x.ravel()),
        (lambda x: np.matmul(x, values.T), lambda x: x @ torch.from_numpy(values.T)),
        (lambda x: values * x + values, lambda x: torch.from_numpy(values) * (x + 1)),
        (lambda x: np.float32(2) * x - x, lambda x: x),
        (lambda x: 2**x, lambda x: 2**x),
        (lambda x: abs(-x), torch.abs),
        (lambda x: x.flatten(), lambda x: x.flatten()),
        (lambda x: x[None].squeeze(0), lambda x: x),
        (lambda x: x[:, None].squeeze(), lambda x: x),
        (lambda x: x.clip(0.7), lambda x: x.clamp(min=0.7)),
        (lambda x: x.reshape([2, 6]).T, lambda x: x.reshape(2, 6).T),
        (lambda x: x.min(1).log1p().sin(), lambda x: x.amin(1).log1p().sin()),
    ):
        y = f(ag.Tensor(values))
        assert type(y) is ag.Tensor
        assert y.dtype == dtype
        tolerance = 1e-5 if dtype == np.float32 else 1e-13
        ours_, theirs_ = (
            (
                lambda x, h=h: (
                    (h(x) * h(x)).sum() if isinstance(h(x), ag.Tensor) else (h(x) ** 2).sum()
                )
            )
            for h in (f, g)
        )
        assert_close(ours(ours_, values), theirs(theirs_, values), tolerance)
    assert np.argmax(ag.Tensor(values)) == values.argmax()
    np.testing.assert_array_equal(ag.Tensor(values).argmin(1), values.argmin(1))
    assert np.shape(ag.Tensor(values)) == (3, 4)


def test_other_functions_of_numpy_refuse_tensors_with_the_cure():
    x = ag.Tensor([1.0, 2.0])
    for f in (
        np.asarray,
        np.array,
        np.cumsum,
        np.isnan,
        np.linalg.norm,
        np.add.reduce,
        lambda x: np.exp(x, out=np.empty(2)),
        lambda x: np.array([x, x]),
        lambda x: np.testing.assert_allclose(x, [1.0, 2.0]),
        ag.Tensor,
    ):
        with pytest.raises(ValueError, match=r"has no gradient.*`x.data`"):
            f(x)
    y = np.ones(2)
    with pytest.raises(ValueError, match="has no gradient"):
        y += x
    np.testing.assert_array_equal(np.asarray(x > 1), [False, True])  # a constant may be looked at


def test_a_tensor_of_one_number_is_read_as_one():
    x = ag.Tensor([2.5])
    assert x.item() == float(x) == 2.5
    assert int(x) == 2
    assert f"{x:.2f} {x.sum():8.3f}" == "2.50    2.500"
    assert f"{x}" == "Tensor([2.5])"
    assert [y.item() for y in ag.Tensor([1.0, 2.0])] == [1.0, 2.0]
    with pytest.raises(TypeError, match="unsized"):
        list(ag.Tensor(2.5))
    with pytest.raises(ValueError, match="size 1"):
        ag.Tensor([1.0, 2.0]).item()


@pytest.mark.bad_input
def test_a_number_to_the_power_of_a_tensor_must_be_positive():
    with pytest.raises(ValueError, match="positive number, got -2"):
        (-2) ** ag.Tensor([1.0])
    with pytest.raises(ValueError, match="exp\\(exponent"):
        ag.Tensor([1.0]) ** ag.Tensor([1.0])


def test_the_slope_of_clip_is_that_of_torch_at_its_bounds():
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert_close(
        ours(lambda x: ag.clip(x, 0.0, 1.0).sum(), x),
        theirs(lambda x: x.clamp(0.0, 1.0).sum(), x),
    )


# Weights


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weighted_losses_agree_with_torch(dtype, rng):
    z = rng.normal(size=(5, 3)).astype(dtype)
    y, labels = (z > 0).astype(dtype), np.array([0, 2, 1, 1, 0])
    w, by_class = rng.uniform(0.1, 2, size=5).astype(dtype), rng.uniform(0.1, 2, 3).astype(dtype)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    rows = torch.from_numpy(w / w.sum())[:, None] / 3

    def mean_of(f):
        return lambda z: (f(z, torch.from_numpy(y), reduction="none") * rows).sum()

    for f, g in (
        (ag.mean_squared_error, functional.mse_loss),
        (ag.binary_cross_entropy, functional.binary_cross_entropy_with_logits),
    ):
        assert_close(ours(lambda z, f=f: f(z, y, weights=w), z), theirs(mean_of(g), z), tolerance)
        assert_close(
            ours(lambda z, f=f: f(z, y, weights=np.ones(5)), z),
            ours(lambda z, f=f: f(z, y), z),
            tolerance,
        )

    def cross_entropy(z):
        return functional.cross_entropy(z, torch.from_numpy(labels), torch.from_numpy(by_class))

    f = ag.softmax_cross_entropy
    assert_close(
        ours(lambda z: f(z, labels, class_weights=by_class), z), theirs(cross_entropy, z), tolerance
    )
    assert_close(
        ours(lambda z: f(z, labels, by_class[labels] * w), z),
        ours(lambda z: f(z, labels, w, by_class), z),
        tolerance,
    )


def test_wrong_weights_are_refused_with_the_cure():
    z, y = np.ones((3, 1)), np.ones((3, 1))
    for f in (ag.mean_squared_error, ag.binary_cross_entropy):
        with pytest.raises(ValueError, match=r"`weights` must have shape \(3,\).*ravel"):
            f(z, y, weights=np.ones((3, 1)))
        for wrong in ([1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [nan, 1.0, 1.0]):
            with pytest.raises(ValueError, match="finite, 0 or more, and not all 0"):
                f(z, y, weights=np.array(wrong))
    with pytest.raises(ValueError, match=r"`class_weights` must have shape \(2,\)"):
        ag.softmax_cross_entropy(np.ones((3, 2)), np.array([0, 1, 1]), class_weights=np.ones(3))
