"""Layers and parameters: against torch, as functions of one flat vector, and their errors."""

import numpy as np
import pytest
import torch

from dlcourse import autograd as ag
from dlcourse import nn
from dlcourse.autograd.tensor import Tensor
from dlcourse.gradcheck import check_gradient

torch.set_num_threads(1)
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-14}


def torch_mlp(network, activation):
    """The same network in torch, with the same numbers; its weights are transposed."""
    layers = []
    for layer in network.layers:
        if isinstance(layer, nn.Linear):
            theirs = torch.nn.Linear(*layer.weight.shape)
            theirs.weight.data = torch.tensor(layer.weight.data.T)
            theirs.bias.data = torch.tensor(layer.offset.data)
            layers += [theirs, activation()]
    return torch.nn.Sequential(*layers[:-1])


def relative_error(ours, theirs):
    """Largest difference, relative to the largest entry."""
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("activation", "theirs"), [(ag.relu, torch.nn.ReLU), (ag.tanh, torch.nn.Tanh)]
)
@pytest.mark.parametrize("sizes", [(2, 16, 16, 3), (20, 64, 64, 10), (5, *[16] * 8, 4)])
def test_gradients_of_an_mlp_equal_those_of_torch(dtype, activation, theirs, sizes, rng):
    network = nn.MLP(sizes, rng, activation=activation, dtype=dtype)
    X = rng.normal(size=(32, sizes[0])).astype(dtype)
    labels = rng.integers(sizes[-1], size=32)
    other = torch_mlp(network, theirs)
    loss = torch.nn.functional.cross_entropy(other(torch.from_numpy(X)), torch.from_numpy(labels))
    loss.backward()
    our_loss = ag.softmax_cross_entropy(network(X), labels)
    network.parameters.take_gradient(our_loss)
    assert network.parameters.grad.dtype == dtype
    assert abs(float(our_loss) - loss.item()) <= TOLERANCE[dtype] * loss.item()
    expected = [
        p.grad.numpy().T.ravel() if p.ndim == 2 else p.grad.numpy() for p in other.parameters()
    ]
    assert relative_error(network.parameters.grad, np.concatenate(expected)) < TOLERANCE[dtype]


@pytest.mark.parametrize(("rate", "epsilon"), [(0.1, 1e-5), (0.5, 0.3)])
def test_normalization_layers_agree_with_torch(rng, rate, epsilon):
    x = rng.normal(3, 2, size=(8, 5))
    ours = nn.BatchNorm(5, rate, epsilon)
    theirs = torch.nn.BatchNorm1d(5, epsilon, rate, dtype=torch.float64)
    for _ in range(3):
        y, z = ours(x, training=True), theirs(torch.from_numpy(x))
        np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.running_mean, theirs.running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(ours.running_variance, theirs.running_var.numpy(), rtol=1e-12)
    theirs.eval()
    np.testing.assert_allclose(
        ours(x).data, theirs(torch.from_numpy(x)).detach().numpy(), rtol=1e-12, atol=1e-12
    )
    layer_norm = torch.nn.LayerNorm(5, epsilon, dtype=torch.float64)
    np.testing.assert_allclose(
        nn.LayerNorm(5, epsilon)(x).data,
        layer_norm(torch.from_numpy(x)).detach().numpy(),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("name", ["BatchNorm", "LayerNorm"])
def test_normalization_takes_its_gain_offset_and_epsilon_from_the_layer(name, rng):
    x, gain, offset = rng.normal(size=(8, 5)), rng.normal(size=5), rng.normal(size=5)
    ours = getattr(nn, name)(5, epsilon=0.5)
    their_class = {"BatchNorm": torch.nn.BatchNorm1d, "LayerNorm": torch.nn.LayerNorm}[name]
    theirs = their_class(5, eps=0.5, dtype=torch.float64)
    ours.parameters.flat[:] = np.concatenate([gain, offset])
    theirs.weight.data, theirs.bias.data = torch.from_numpy(gain), torch.from_numpy(offset)
    for training in (True, False):
        theirs.train(training)
        expected = theirs(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(ours(x, training).data, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_every_layer_has_the_right_gradient(training, rng):
    network = nn.Sequential(
        nn.Linear(3, 4, rng, activation=ag.tanh, initializer=nn.xavier),
        nn.BatchNorm(4),
        nn.Residual(nn.LayerNorm(4), nn.Linear(4, 4, rng, activation=ag.relu)),
        ag.softplus,
        nn.Linear(4, 1, rng),
    )
    X, y = rng.normal(size=(2, 10, 3))[0], rng.normal(size=(10, 1))
    f = network.parameters.function(lambda: ag.mean_squared_error(network(X, training), y))
    check_gradient(f, network.parameters.flat.copy(), rng)


def test_hessian_vector_products_of_a_network_agree_with_torch(rng):
    network = nn.MLP((3, 8, 8, 2), rng, activation=ag.tanh)
    X, y = rng.normal(size=(10, 3)), rng.normal(size=(10, 2))
    flat, v = network.parameters.flat, rng.normal(size=len(network.parameters))
    f = network.parameters.function(lambda: ag.mean_squared_error(network(X), y))

    def theirs(w):
        parts, x, start = [], torch.from_numpy(X), 0
        for shape in network.parameters.shapes.values():
            size = int(np.prod(shape))
            parts.append(w[start : start + size].reshape(shape))
            start += size
        for W, b in zip(parts[:-2:2], parts[1:-2:2], strict=True):
            x = torch.tanh(x @ W + b)
        return ((x @ parts[-2] + parts[-1] - torch.from_numpy(y)) ** 2).mean()

    expected = torch.autograd.functional.hvp(theirs, torch.from_numpy(flat), torch.from_numpy(v))[1]
    ours = ag.derivative_along(lambda x: f(x)[1], flat, v)
    np.testing.assert_allclose(ours, expected.numpy(), rtol=1e-10, atol=1e-12)


def test_dropout_acts_in_training_only_and_scales_what_is_left(rng):
    layer, x = nn.Dropout(0.4, rng), np.ones((300, 100))
    assert layer(x) is x
    y = layer(x, training=True).data
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.6])
    assert abs(y.mean() - 1) < 4 * np.sqrt(0.4 / 0.6 / y.size)
    assert nn.Dropout(0.0, rng)(x, training=True) is x


def test_an_mlp_puts_dropout_behind_its_hidden_layers(rng):
    network = nn.MLP((2, 50, 1), rng, dropout_p=0.5)
    x = np.ones((1, 2))
    assert [type(layer).__name__ for layer in network.layers] == ["Linear", "Dropout", "Linear"]
    assert network(x).data == network(x).data
    assert network(x, training=True).data != network(x, training=True).data


def test_a_residual_block_with_zero_weights_is_the_identity(rng):
    block = nn.Residual(nn.Linear(3, 3, rng, activation=ag.relu, initializer=nn.zero))
    x = Tensor(rng.normal(size=(4, 3)))
    np.testing.assert_array_equal(block(x).data, x.data)
    block(x).sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones((4, 3)))


def test_a_residual_block_hands_on_whether_it_trains(rng):
    block, x = nn.Residual(nn.Dropout(0.5, rng)), np.ones((10, 10))
    np.testing.assert_array_equal(block(x).data, 2 * x)
    assert set(np.unique(block(x, training=True).data)) == {1.0, 3.0}


# One flat vector


def test_layers_hold_views_of_the_flat_vector(rng):
    network = nn.MLP((2, 3, 1), rng)
    before = network(np.ones((1, 2))).data.copy()
    parameters = network.parameters
    np.testing.assert_array_equal(network(np.ones((1, 2))).data, before)  # moving changed nothing
    assert network.parameters is parameters
    assert list(parameters.shapes) == [
        "layers.0.weight",
        "layers.0.offset",
        "layers.1.weight",
        "layers.1.offset",
    ]
    parameters.flat[:] = np.arange(13)
    np.testing.assert_array_equal(network.layers[0].weight.data, [[0, 1, 2], [3, 4, 5]])
    network.layers[1].offset.data[:] = -1
    assert parameters.flat[-1] == -1
    np.testing.assert_array_equal(parameters.views(parameters.flat)["layers.1.offset"], [-1])


def test_a_layer_that_moves_into_another_network_leaves_the_first_vector(rng):
    inner = nn.Linear(2, 2, rng)
    first = inner.parameters
    outer = nn.Sequential(inner, nn.Linear(2, 1, rng))
    assert len(outer.parameters) == 9
    outer.parameters.flat[:6] = 7.0
    assert (inner.weight.data == 7.0).all()
    assert not first.are_held()
    assert inner.parameters is not first


def test_a_network_that_has_lost_one_layer_makes_its_vector_anew(rng):
    moving = nn.Linear(2, 2, rng)
    network = nn.Sequential(nn.Linear(2, 2, rng), moving)
    before = network.parameters
    moved = moving.parameters
    assert not before.are_held()
    assert network.parameters is not before
    assert not moved.are_held()


def test_a_layer_used_twice_counts_once(rng):
    shared = nn.Linear(3, 3, rng)
    network = nn.Sequential(shared, ag.tanh, shared)
    assert len(network.parameters) == 12
    X = rng.normal(size=(5, 3))
    f = network.parameters.function(lambda: ag.square(network(X)).mean())
    check_gradient(f, network.parameters.flat.copy(), rng)


def test_parameters_that_the_loss_does_not_use_get_a_zero_gradient(rng):
    network = nn.Sequential(nn.Linear(2, 2, rng), nn.Linear(2, 1, rng))
    parameters, X = network.parameters, np.ones((3, 2))
    parameters.take_gradient(ag.square(network(X)).mean())
    parameters.take_gradient(ag.square(network.layers[0](X)).mean())
    assert (parameters.grad[:6] != 0).all()
    assert (parameters.grad[6:] == 0).all()
    with ag.Capture() as capture:
        parameters.take_gradient(ag.square(network.layers[0](X)).mean())
    parameters.grad[:] = 1.0
    capture.replay()
    assert (parameters.grad[6:] == 0).all()


def test_a_function_of_the_flat_vector_leaves_the_network_as_it_was(rng):
    network = nn.MLP((2, 3, 1), rng)
    flat = network.parameters.flat.copy()
    f = network.parameters.function(lambda: network(np.ones((1, 2))).sum())
    f(np.zeros(13))
    np.testing.assert_array_equal(network.parameters.flat, flat)
    assert network.parameters.are_held()
    assert "13 parameters in float64" in repr(network.parameters)


# Errors


def test_wrong_networks_are_refused_with_the_cure(rng):
    with pytest.raises(ValueError, match="one dtype.*dtype="):
        _ = nn.Sequential(nn.Linear(2, 2, rng, dtype=np.float32), nn.Linear(2, 1, rng)).parameters
    with pytest.raises(ValueError, match="at least one layer"):
        _ = nn.Sequential(ag.relu).parameters
    with pytest.raises(ValueError, match="inputs and outputs"):
        nn.MLP((3,), rng)
    with pytest.raises(ValueError, match="probability of dropping"):
        nn.Dropout(1.0, rng)
    with pytest.raises(ValueError, match="two rows or more"):
        nn.BatchNorm(2)(np.ones((1, 2)), training=True)
    network = nn.MLP((2, 1), rng)
    f = network.parameters.function(lambda: network(np.ones((1, 2))).sum())
    with pytest.raises(ValueError, match="one shape"):
        f(np.zeros(4))
    with pytest.raises(NotImplementedError, match="must define"):
        nn.Layer()(1.0)


def test_the_precision_of_the_data_must_be_that_of_the_network(rng):
    network = nn.MLP((2, 1), rng, dtype=np.float32)
    with pytest.raises(ValueError, match="one precision"):
        network(np.ones((3, 2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layer_norm_keeps_its_precision(rng, dtype):
    x = rng.normal(size=(20, 3)).astype(dtype)
    y, theirs = nn.LayerNorm(3, dtype=dtype)(x).data, torch.nn.LayerNorm(3)
    theirs = theirs.to(torch.float32 if dtype is np.float32 else torch.float64)
    assert y.dtype == dtype
    assert relative_error(y, theirs(torch.from_numpy(x)).detach().numpy()) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_keeps_its_precision_outside_of_training(rng, dtype):
    layer, theirs = nn.BatchNorm(3, dtype=dtype), torch.nn.BatchNorm1d(3)
    x = rng.normal(size=(20, 3)).astype(dtype)
    layer(x, training=True)
    theirs = theirs.to(torch.float32 if dtype is np.float32 else torch.float64)
    theirs(torch.from_numpy(x))
    y = layer(x).data
    assert y.dtype == dtype
    expected = theirs.eval()(torch.from_numpy(x)).detach().numpy()
    assert relative_error(y, expected) < TOLERANCE[dtype]


# Doors


@pytest.mark.parametrize("activation", [None, ag.relu, ag.tanh])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_linear_layer_takes_batches_of_sequences(activation, dtype, rng):
    layer = nn.Linear(3, 4, rng, activation=activation, dtype=dtype)
    x = rng.normal(size=(5, 6, 3)).astype(dtype)
    theirs = torch.nn.Linear(3, 4, dtype=getattr(torch, np.dtype(dtype).name))
    theirs.weight.data = torch.tensor(layer.weight.data.T.copy())
    theirs.bias.data = torch.tensor(layer.offset.data.copy())
    function = {None: lambda y: y, ag.relu: torch.relu, ag.tanh: torch.tanh}[activation]
    ours, loss = layer(x), function(theirs(torch.from_numpy(x)))
    assert ours.shape == (5, 6, 4)
    tolerance = 30 * np.finfo(dtype).eps
    np.testing.assert_allclose(ours.data, loss.detach().numpy(), rtol=tolerance, atol=tolerance)
    layer.parameters.take_gradient((ours * ours).sum())
    (loss * loss).sum().backward()
    expected = np.concatenate([theirs.weight.grad.numpy().T.ravel(), theirs.bias.grad.numpy()])
    assert relative_error(layer.parameters.grad, expected) < tolerance


def test_layers_in_a_dict_are_trained_and_those_in_a_set_refused(rng):
    class Branches(nn.Layer):
        def __init__(self, branches):
            self.branches = branches

        def __call__(self, x, training=False):
            return sum((layer(x, training) for layer in self.branches.values()), start=0.0)

    network = Branches({"left": nn.Linear(2, 1, rng), "right": nn.Linear(2, 1, rng)})
    assert list(network.parameters.shapes) == [
        "branches.left.weight",
        "branches.left.offset",
        "branches.right.weight",
        "branches.right.offset",
    ]
    X = rng.normal(size=(5, 2))
    f = network.parameters.function(lambda: ag.square(network(X)).mean())
    check_gradient(f, network.parameters.flat.copy(), rng)
    with pytest.raises(ValueError, match="set, which has no order.*list"):
        _ = Branches({nn.Linear(2, 1, rng)}).parameters


def test_a_network_shows_its_parameters_and_predicts_plain_numbers(rng):
    network = nn.MLP((2, 3, 1), rng, dropout_p=0.5)
    inner = network.layers[0]
    parameters = network.parameters
    assert repr(network).startswith("MLP with 13 parameters\n  layers.0.weight (2, 3)\n")
    assert repr(inner) == "Linear with 9 parameters\n  weight (2, 3)\n  offset (3,)"
    assert repr(nn.Dropout(0.5, rng)) == "Dropout with 0 parameters"
    assert parameters.are_held()  # looking at a layer has moved nothing
    X = rng.normal(size=(4, 2))
    assert type(network.predict(X)) is np.ndarray
    np.testing.assert_array_equal(network.predict(X), network(X).data)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layer", [nn.BatchNorm, nn.LayerNorm])
def test_normalization_of_another_number_of_columns_is_refused(layer, training):
    for n_features, shape in ((1, (4, 3)), (3, (4, 1)), (3, (3,)), (2, (4, 3))):
        with pytest.raises(ValueError, match=rf"shape \(n, {n_features}\).*n_features"):
            layer(n_features)(np.ones(shape), training)


def test_a_number_in_place_of_a_generator_is_refused_with_the_cure():
    for make in (
        lambda: nn.Linear(2, 1, 0),
        lambda: nn.MLP((2, 1), 0),
        lambda: nn.Dropout(0.5, 0),
        lambda: ag.dropout(np.ones(2), 0.5, 0),
        lambda: nn.Linear(2, 1, np.random),
    ):
        with pytest.raises(ValueError, match=r"`rng` must be a generator.*default_rng\(0\)"):
            make()
