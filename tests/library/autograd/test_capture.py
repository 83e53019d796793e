"""Capture and replay: bitwise equal to eager, nothing allocated, clear errors."""

import threading
import tracemalloc

import numpy as np
import pytest

from dlcourse import autograd as ag
from dlcourse.autograd.tensor import parameter
from tests.library.autograd.test_operations import BINARY, MATRICES, POSITIVE, UNARY, weighted


def gradients(f):
    """A function of arrays: value and gradients of `f`, with every step of it launched."""

    def value_and_gradients(*arrays):
        tensors = [ag.Tensor(x) for x in arrays]
        value = f(*tensors)
        value.backward()
        return value.data, *(x.grad for x in tensors)

    return value_and_gradients


def assert_replays_exactly(f, *draws):
    """Capture at the first draw, replay at the others, compare each with an eager run."""
    captured = ag.Captured(f)
    for arrays in draws:
        for ours, theirs in zip(captured(*arrays), f(*arrays), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", {**UNARY, **POSITIVE})
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_operation_replays_to_the_bit(name, dtype, rng):
    f, _ = {**UNARY, **POSITIVE}[name]
    draws = rng.uniform(0.1, 2, size=(3, 1, 4, 3)).astype(dtype)
    if name not in POSITIVE:
        draws -= 1
    assert_replays_exactly(gradients(lambda x: (f(x) * f(x)).sum()), *draws)


@pytest.mark.parametrize("name", BINARY)
def test_every_operation_of_two_replays_to_the_bit(name, rng):
    f, _ = BINARY[name]
    draws = [(rng.uniform(0.5, 2, (4, 3)), rng.uniform(0.5, 2, (3,))) for _ in range(3)]
    assert_replays_exactly(gradients(weighted(f)), *draws)


@pytest.mark.parametrize("name", MATRICES)
def test_every_matrix_product_replays_to_the_bit(name, rng):
    draws = [[rng.normal(size=shape) for shape in MATRICES[name]] for _ in range(3)]
    assert_replays_exactly(gradients(weighted(ag.matmul)), *draws)


def test_losses_and_standardization_replay_to_the_bit(rng):
    def loss(x, y, labels):
        x = ag.Tensor(x)
        z, _ = ag.standardize(x, 0)
        value = (
            ag.mean_squared_error(z.T, y.T)  # transposed: no view of it is flat
            + ag.binary_cross_entropy(x, y)
            + ag.softmax_cross_entropy(z, labels)
        )
        value.backward()
        return value.data, x.grad

    draws = [
        (rng.normal(size=(6, 3)), rng.uniform(size=(6, 3)), rng.integers(3, size=6))
        for _ in range(3)
    ]
    assert_replays_exactly(loss, *draws)


def test_a_replay_draws_new_random_numbers(rng):
    captured = ag.Captured(lambda x: ag.dropout(x, 0.5, rng).data)
    x = np.ones((8, 8))
    first = captured(x).copy()
    assert not np.array_equal(first, captured(x))


def test_a_capture_never_writes_into_the_arrays_it_is_given():
    captured, first = ag.Captured(lambda x: ag.exp(x).data), np.zeros(3)
    captured(first)
    captured(np.ones(3))
    np.testing.assert_array_equal(first, np.zeros(3))


def deep_step():
    """A step of gradient descent on a network in place, and its parameters."""
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in ((20, 64), (64, 64), (64, 3))]
    offsets = [np.zeros(W.shape[1], np.float32) for W in weights]
    parameters = [parameter(a, np.empty_like(a)) for a in (*weights, *offsets)]

    def step(X, labels):
        x = X
        for W, b in zip(parameters[:2], parameters[3:5], strict=True):
            x = ag.affine_relu(x, W, b)
        loss = ag.softmax_cross_entropy(ag.affine(x, parameters[2], parameters[5]), labels)
        loss.backward()
        for p in parameters:
            change = ag.launch(np.multiply, p.grad, np.float32(0.1))
            ag.launch(np.subtract, p.data, change, out=p.data)
        return loss.data

    return step, parameters


def batches(n=6):
    rng = np.random.default_rng(2)
    for _ in range(n):
        yield rng.normal(size=(256, 20)).astype(np.float32), rng.integers(3, size=256)


def test_a_training_run_replays_to_the_bit():
    (step, ours), (eager, theirs) = deep_step(), deep_step()
    captured = ag.Captured(step)
    for batch in batches():
        np.testing.assert_array_equal(captured(*batch), eager(*batch))
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_a_replay_allocates_nothing():
    captured = ag.Captured(deep_step()[0])
    data = list(batches())
    for batch in data[:2]:
        captured(*batch)
    tracemalloc.start()
    captured.capture.replay()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    for batch in data[2:]:
        captured(*batch)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 64 * 1024  # one hidden layer alone holds 64 KiB


# Errors


def test_changed_shapes_and_types_are_refused_with_the_cure():
    captured = ag.Captured(lambda x: ag.exp(x).data)
    captured(np.ones(3))
    for wrong in (np.ones(4), np.ones((3, 1)), np.ones(3, np.float32)):
        with pytest.raises(ValueError, match=r"recorded for inputs float64 \(3,\).*another"):
            captured(wrong)
    with pytest.raises(ValueError, match="got none"):
        captured()


def test_a_branch_on_data_is_refused_with_the_cure():
    def branching(x):
        y = ag.exp(x)
        return y if (y.sum() > 1) else -y

    assert branching(np.zeros(2)).data[0] == 1  # eager code may branch
    for f in (
        branching,
        lambda x: float(ag.sum(x)),
        lambda x: ag.exp(x)[x > 0],
        lambda x: ag.exp(x)[(ag.Tensor(x) > 0).data],
    ):
        with pytest.raises(ValueError, match="must not branch.*where"):
            ag.Captured(f)(np.zeros(2))
    assert branching(np.zeros(2)).data[0] == 1  # the failed capture is closed again


REPEATED = {  # plain NumPy that a replay does again
    "a comparison": lambda x: x > 1,
    "a number": lambda x: x[0],
    "a loop": lambda x: list(x)[1],
    "a copy by index": lambda x: x[[0, 1]],
    "a copy by mask": lambda x: x[np.array([True, False, True])],
    "a copy": lambda x: x.copy(),
    "a method": lambda x: x.sum(),
    "a mean": lambda x: x.mean(),
    "a variance": lambda x: x.var(),
    "a ufunc": np.isnan,
    "a function": np.linalg.norm,
    "a product": lambda x: np.dot(x, x),
    "a product by method": lambda x: x.dot(x),
    "the place of the largest": lambda x: x.argmax(),
    "a choice": lambda x: np.where(x > 2, x, 0.0),
    "a sum of running sums": lambda x: np.cumsum(x).sum(),
    "another order": lambda x: x[np.argsort(-x)],
    "an outer product, flat by rows": lambda x: np.outer(x, x + 1).T.reshape(-1),
    "an outer product, raveled": lambda x: np.multiply.outer(x, x + 1).T.ravel(),
    "another type": lambda x: x.astype(np.float32),
    "zeros, then added up": lambda x: _added_up(np.zeros_like(x), x),
    "ones, then written": lambda x: _written(np.ones_like(x), x),
}
REFUSED = {  # what a replay could not do again
    "an item": lambda x: x[:1].item(),
    "a float": lambda x: float(x[:1].reshape(())),
    "an integer": lambda x: int(x[0]),
    "a truth": lambda x: bool(x[:1]),
    "a branch": lambda x: x if x[0] > 0 else -x,
    "a list": lambda x: x.tolist(),
    "a search": lambda x: 1.0 in x,
    "as many as the data say": lambda x: x[x > 1],
    "as many as the data say, by number": lambda x: np.nonzero(x)[0],
    "whether all are close": lambda x: np.allclose(x, 1.0),
}


def _added_up(total, x):
    np.add.at(total, [0, 0, 1], x)
    return total


def _written(y, x):
    y[1:] = x[:-1]
    y[x > 1] = 9.0
    return y


@pytest.mark.parametrize("name", {**REPEATED, **REFUSED})
def test_plain_numpy_on_captured_numbers_is_repeated_or_refused(name):
    read = {**REPEATED, **REFUSED}[name]
    first, second = np.array([1.0, 2.0, 3.0]), np.array([5.0, -3.0, 1.5])
    for f in (read, lambda x: read(ag.exp(x).data * 1.0)):
        captured = ag.Captured(f)
        if name in REFUSED:
            with pytest.raises(ValueError, match="nor compute past the engine.*after the capture"):
                captured(first)
        else:
            for x in (first, second, first):
                np.testing.assert_array_equal(captured(x), f(x))
            assert not isinstance(captured(first), ag.recorded.Recorded)
    result = ag.Captured(lambda x: (ag.Tensor(x) * 1.0).data)(first)
    np.testing.assert_array_equal(read(result), read(first))  # after the capture


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.sort(),
        lambda x: x.fill(1.0),
        lambda x: x.partition(1),
        lambda x: x.put(0, 1.0),
        lambda x: np.copyto(x, 1.0),
        lambda x: np.put(x, 0, 1.0),
    ],
)
def test_writes_that_numpy_does_not_announce_are_refused(write):
    with pytest.raises(ValueError, match="nor compute past the engine"):
        ag.Captured(lambda x: write(x * 1.0))(np.array([3.0, 1.0, 2.0]))


def test_copies_that_no_capture_can_see_are_refused():
    def copied(x):
        unseen = np.array(x, subok=True)  # NumPy asks nobody
        return (ag.Tensor(np.ones(3)) * unseen).data

    for f in (copied, lambda x: np.array(x, subok=True), lambda x: np.array(x, subok=True) + 1):
        with pytest.raises(ValueError, match="copy of a captured one.*reshape"):
            ag.Captured(f)(np.ones(3))


def test_a_reshape_that_must_copy_is_replayed(rng):
    f = ag.Captured(lambda x: (ag.Tensor(np.ones(4)) * x.T.reshape(-1)).data)
    for x in rng.normal(size=(3, 2, 2)):
        np.testing.assert_array_equal(f(x), x.T.ravel())


def test_each_thread_records_for_itself():
    opened, done = threading.Event(), threading.Event()

    def other():
        opened.wait(5)
        ag.exp(np.ones(2))
        with ag.Capture() as theirs:
            ag.exp(np.ones(2))
        counts.append(len(theirs.calls))
        done.set()

    counts, thread = [], threading.Thread(target=other)
    thread.start()
    with ag.Capture() as ours:
        opened.set()
        done.wait(5)
        ag.exp(np.ones(2)) + 1.0
    thread.join()
    assert (counts, len(ours.calls)) == ([1], 2)


def test_the_guard_shows_numbers_and_gives_views():
    def f(x):
        y = ag.exp(x)
        assert repr(y.data) == "array([1., 1.])"
        assert str(y.data) == "[1. 1.]"
        assert repr(y) == "Tensor([1., 1.], constant)"
        assert np.asarray(y.data).sum() == 2  # the way past the guard, once
        return y.data[1:]

    captured = ag.Captured(f)
    captured(np.zeros(2))
    np.testing.assert_allclose(captured(np.log([2.0, 3.0])), [3.0])


def test_writing_into_the_numbers_of_a_tensor_is_refused_until_the_capture_is_closed():
    def assign(x):
        x[0] = 1.0

    def add(x):
        x += 1.0

    for write in (assign, add):
        with pytest.raises(ValueError, match="read-only"):
            ag.Captured(lambda x, write=write: write(ag.exp(x).data))(np.zeros(2))
    result = ag.Captured(lambda x: ag.exp(x).data)(np.zeros(2))
    result[0] = 5.0
    result += 1.0
    np.testing.assert_array_equal(result, [6.0, 2.0])


def test_writing_into_an_array_from_outside_is_refused_with_the_cure():
    total = np.zeros(2)

    def careless(x):
        np.add(total, x, out=total)

    def careful(x):
        ours = ag.capture.tracked(total)
        ours += x

    with pytest.raises(ValueError, match="array from outside.*tracked"):
        ag.Captured(careless)(np.ones(2))
    captured = ag.Captured(careful)
    for _ in range(3):
        captured(np.ones(2))
    np.testing.assert_array_equal(total, [3.0, 3.0])


def test_checks_of_the_data_are_replayed():
    loss = ag.Captured(lambda z, y: ag.softmax_cross_entropy(z, y).data)
    loss(np.zeros((2, 3)), np.array([0, 2]))
    for wrong in ([0, -1], [3, 0]):
        with pytest.raises(ValueError, match="integers from 0 to 2"):
            loss(np.zeros((2, 3)), np.array(wrong))
    weighted_loss = ag.Captured(lambda z, w: ag.mean_squared_error(z, z * 2.0, weights=w).data)
    weighted_loss(np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="`weights` must be finite"):
        weighted_loss(np.ones(2), np.array([1.0, -1.0]))
    copied = ag.Captured(lambda x: ag.Tensor(x).data)
    copied(np.ones(2))
    with pytest.raises(ValueError, match="must be finite"):
        copied(np.array([1.0, np.nan]))

    def step(x):
        loss = ag.log(ag.Tensor(x)).sum()
        loss.backward()
        return loss.data

    captured = ag.Captured(step)
    captured(np.ones(2))
    with pytest.raises(ValueError, match="The loss is -inf"):
        captured(np.zeros(2))


def test_an_entry_picked_by_its_number_is_replayed():
    captured = ag.Captured(lambda x: (ag.Tensor(x)[0] + ag.exp(x)[1, ...]).data)
    captured(np.array([1.0, 0.0]))
    assert captured(np.array([2.0, np.log(3.0)])) == pytest.approx(5.0)


def test_captures_do_not_nest():
    inner = ag.Captured(lambda x: ag.exp(x).data)
    with pytest.raises(ValueError, match="do not nest"):
        ag.Captured(lambda x: inner(x))(np.ones(2))


def test_a_capture_says_how_long_it_is():
    with ag.Capture() as capture:
        ag.exp(np.ones(2)) + 1.0
    assert repr(capture) == "Capture of 2 calls"


# Random programs


STEPS = (
    lambda a, b, axis: a * b,
    lambda a, b, axis: a + b,
    lambda a, b, axis: a - b.T,
    lambda a, b, axis: a / (b * b + 1.0),
    lambda a, b, axis: ag.tanh(a) @ b * 0.1,
    lambda a, b, axis: ag.relu(a) + b[::-1],
    lambda a, b, axis: ag.where(a > b, a, b * 0.5),
    lambda a, b, axis: ag.softmax(a, axis),
    lambda a, b, axis: ag.concatenate([a[:2], b[2:]]),
    lambda a, b, axis: a - a.max(axis, keepdims=True),
    lambda a, b, axis: ag.affine_relu(a, b, b.mean(0)),
    lambda a, b, axis: ag.standardize(a, axis)[0],
    lambda a, b, axis: b.T.reshape(-1).reshape(4, 4) * a,
    lambda a, b, axis: ag.sigmoid(a) * a.data.sum(0),  # plain NumPy on its numbers
)


def random_program(seed):
    """A function of a matrix: steps at random, some results kept, gradients changed in place."""
    rng = np.random.default_rng(seed)
    n_steps = rng.integers(3, 14)
    draws = rng.integers((len(STEPS), 100, 2, 3), size=(n_steps, 4)).tolist()

    def program(array):
        x = ag.Tensor(array)
        nodes, kept = [x], []
        for which, partner, axis, keeps in draws:
            nodes.append(STEPS[which](nodes[-1], nodes[partner % len(nodes)], axis))
            if keeps == 0:
                kept.append(nodes[-1].data)
        loss = (nodes[-1] * nodes[-1]).mean() + ag.logsumexp(nodes[-1]).sum()
        loss.backward()
        moments = x.grad * 1.0
        moments *= 0.9
        moments += x.grad[::-1].T
        return loss.data, x.grad, moments, *kept

    return program


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_random_programs_replay_to_the_bit(first, rng):
    for seed in range(first, first + 25):
        program = random_program(seed)
        assert_replays_exactly(program, *rng.normal(size=(3, 1, 4, 4)))


def test_what_is_held_keeps_its_memory_and_what_is_not_shares(rng):
    x, held = rng.normal(size=(64, 64)), []

    def chain(x, keep):
        for _ in range(10):
            x = ag.sin(x * 2.0).data
            if keep:
                held.append(x)
        return x

    n_arrays = []
    for keep in (False, True):
        with ag.Capture() as capture:
            y = chain(ag.capture.tracked(x), keep)
        outs = {
            id(ag.recorded.root(ag.recorded.arrays_in(call.args)[-1])) for call in capture.calls
        }
        n_arrays.append(len(outs))
        before = [h.copy() for h in map(np.asarray, held)]
        capture.replay()
        for h, expected in zip(held, before, strict=True):
            np.testing.assert_array_equal(np.asarray(h), expected)
        np.testing.assert_array_equal(np.asarray(y), chain(x, False))
    assert n_arrays[0] <= 3
    assert n_arrays[1] >= 11
