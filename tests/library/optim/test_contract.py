"""What every optimizer in the table promises, whatever its rule."""

import pickle
import threading
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from dlcourse.optim import OPTIMIZERS, Cosine, Partition, Piece, _inplace
from tests.library.optim.paths import noisy_bowl, path

SHAPE = (3, 2)  # one point: a matrix, which Muon needs and the others take too
WITH_UPDATE = [name for name in OPTIMIZERS if name != "gradient descent"]


def build(name, learning_rate=0.05):
    return OPTIMIZERS[name](learning_rate)


def arrays_of(state):
    """The arrays in a state, those of a partition's pieces included."""
    return [a for part in state for a in (arrays_of(part) if isinstance(part, tuple) else [part])]


def copy_of(state):
    return pickle.loads(pickle.dumps(state))


def close(ours, theirs):
    # Some roundings of the largest entry: the order of operations may differ, nothing else.
    atol = 8 * np.finfo(theirs.dtype).eps * max(np.abs(theirs).max(), 1e-300)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_runs_do_not_mix(name, rng):
    optimizer, x0 = build(name), rng.normal(size=(4, *SHAPE))
    together = path(optimizer, x0, lambda k, x: 2 * x, n_steps=50)
    for i in range(4):
        alone = path(optimizer, x0[i], lambda k, x: 2 * x, n_steps=50)
        np.testing.assert_array_equal(together[:, i], alone)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_pure(name, rng):
    optimizer, x, grad = build(name), rng.normal(size=SHAPE), rng.normal(size=SHAPE)
    x, state = optimizer.step(x, grad, optimizer.init(x))
    kept = copy_of((x, grad, state))
    first, second = (optimizer.step(x, grad, state) for _ in range(2))
    for ours, theirs in zip(arrays_of((x, grad, state)), arrays_of(kept), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(arrays_of(first), arrays_of(second), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_schedule_brings_it_to_the_minimum(name, rng):
    optimizer, x0 = build(name, Cosine(0.2, n_steps=400)), rng.normal(size=(5, *SHAPE))
    points = path(optimizer, x0, lambda k, x: x, n_steps=400)
    assert np.abs(points[-1]).max() < 0.02


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_at_a_minimum_with_no_memory_it_stays(name):
    x, grad = np.zeros(SHAPE), np.zeros(SHAPE)
    optimizer = build(name)
    np.testing.assert_array_equal(optimizer.step(x, grad, optimizer.init(x))[0], x)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_record_is_frozen_and_prints_its_settings(name):
    optimizer = build(name)
    assert "learning_rate=0.05" in repr(optimizer)
    with pytest.raises(AttributeError):
        optimizer.learning_rate = 1.0


# In place.


@pytest.mark.parametrize("name", WITH_UPDATE)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("learning_rate", [0.05, Cosine(0.05, n_steps=30)])
def test_an_update_is_the_step_in_place(name, dtype, learning_rate, rng):
    optimizer, gradient = build(name, learning_rate), noisy_bowl(rng, SHAPE)
    x = rng.normal(size=SHAPE).astype(dtype)
    state = optimizer.init(x)
    for k in range(20):
        grad = gradient(k, x).astype(dtype)
        expected = optimizer.step(x, grad, state)
        assert optimizer.update(x, grad, state) is None
        for ours, theirs in zip(arrays_of((x, state)), arrays_of(expected), strict=True):
            assert ours.dtype == theirs.dtype
            if ours.dtype.kind == "f":
                close(ours, theirs)
            else:
                assert ours == theirs == k + 1


@pytest.mark.parametrize("name", [name for name in WITH_UPDATE if name != "Muon"])
def test_blocks_change_nothing(name, rng, monkeypatch):
    optimizer = build(name)
    x, grad = rng.normal(size=(2, 1_000))
    in_blocks, state, block_state = x.copy(), optimizer.init(x), optimizer.init(x)
    optimizer.update(x, grad, state)
    monkeypatch.setattr(_inplace, "BLOCK_BYTES", 8 * 77)
    monkeypatch.setattr(_inplace, "_work", _inplace._Work())
    assert [work.size for *_, work in _inplace.blocks(x)] == [77] * 12 + [76]
    optimizer.update(in_blocks, grad, block_state)
    close(in_blocks, x)
    for ours, theirs in zip(block_state, state, strict=True):
        close(ours, theirs) if ours.dtype.kind == "f" else np.testing.assert_array_equal(
            ours, theirs
        )


@pytest.mark.parametrize("name", WITH_UPDATE)
def test_an_update_leaves_the_gradient_alone(name, rng):
    optimizer, x, grad = build(name), rng.normal(size=SHAPE), rng.normal(size=SHAPE)
    kept = grad.copy()
    optimizer.update(x, grad, optimizer.init(x))
    np.testing.assert_array_equal(grad, kept)


@pytest.mark.parametrize("name", [name for name in WITH_UPDATE if name != "Muon"])
def test_an_update_allocates_next_to_nothing(name, rng):
    optimizer, (x, grad) = build(name), rng.normal(size=(2, 100_000))
    state = optimizer.init(x)
    optimizer.update(x, grad, state)
    tracemalloc.start()
    optimizer.update(x, grad, state)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 1024


def test_updates_in_two_threads_do_not_mix(rng):
    optimizer, (x, y, grad) = build("Adam"), rng.normal(size=(3, 200_000))
    expected = [path(optimizer, start, lambda k, _: grad, n_steps=20)[-1] for start in (x, y)]

    def work(point):
        state = optimizer.init(point)
        for _ in range(20):
            optimizer.update(point, grad, state)

    threads = [threading.Thread(target=work, args=(point,)) for point in (x, y)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose([x, y], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_partition_keeps_the_contract(dtype, rng):
    optimizer = Partition(tuple(Piece(SHAPE, build(name)) for name in WITH_UPDATE))
    n = len(WITH_UPDATE) * 6
    x, gradient = rng.normal(size=n).astype(dtype), noisy_bowl(rng, (n,))
    state = optimizer.init(x)
    for k in range(20):
        grad = gradient(k, x).astype(dtype)
        expected = optimizer.step(x, grad, state)
        optimizer.update(x, grad, state)
        for ours, theirs in zip(arrays_of((x, state)), arrays_of(expected), strict=True):
            close(ours, theirs) if ours.dtype.kind == "f" else np.testing.assert_array_equal(
                ours, theirs
            )
    points = rng.normal(size=(3, n))
    together = path(optimizer, points, gradient, n_steps=20)
    np.testing.assert_array_equal(together[:, 1], path(optimizer, points[1], gradient, n_steps=20))


# Errors that name the cure.


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("rate", [-0.1, 0.0, float("nan"), float("inf"), "fast", None])
@pytest.mark.bad_input
def test_a_rate_that_is_not_positive_is_refused(name, rate):
    with pytest.raises(ValueError, match="`learning_rate` must be positive and finite"):
        build(name, rate)


@pytest.mark.parametrize("name", WITH_UPDATE)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(SHAPE, int), r"`x` must hold floats, got dtype int64.*dtype=float"),
        (np.full(SHAPE, np.nan), "`x` must be finite"),
    ],
)
@pytest.mark.bad_input
def test_a_start_that_cannot_be_moved_is_refused(name, x, message):
    with pytest.raises(ValueError, match=message):
        build(name).init(x)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.bad_input
def test_a_gradient_of_another_shape_is_refused(name):
    optimizer, x = build(name), np.zeros((4, 2))
    state = optimizer.init(x)
    moves = [optimizer.step, optimizer.update] if name in WITH_UPDATE else [optimizer.step]
    for move in moves:
        with pytest.raises(ValueError, match=r"`grad` and `x` must have one shape, got \(4, 1\)"):
            move(x, np.zeros((4, 1)), state)


def wrong_updates():
    x, grad = np.zeros((4, 4)), np.ones((4, 4))
    frozen = np.zeros((4, 4))
    frozen.flags.writeable = False
    return {
        "integers": (x.astype(int), grad, "one dtype, float32 or float64, got int64"),
        "half": (x.astype(np.float16), grad.astype(np.float16), "got float16"),
        "two dtypes": (x, grad.astype(np.float32), "float64 for `x` and float32 for `grad`"),
        "a copy in the making": (x.T[::2, ::2], grad[::2, ::2], "contiguous and writeable"),
        "read only": (frozen, grad, "contiguous and writeable"),
    }


@pytest.mark.parametrize("name", WITH_UPDATE)
@pytest.mark.parametrize("case", wrong_updates())
@pytest.mark.bad_input
def test_an_update_that_would_be_lost_is_refused_before_anything_moves(name, case):
    x, grad, message = wrong_updates()[case]
    optimizer = build(name)
    state = optimizer.init(np.zeros(x.shape))
    with pytest.raises(ValueError, match=message):
        optimizer.update(x, grad, state)
    assert all((a == 0).all() for a in arrays_of(state))


@pytest.mark.parametrize("name", ["heavy ball", "Nesterov", "Adam", "AMSGrad", "AdamW", "Muon"])
def test_a_state_of_another_shape_or_dtype_is_refused(name):
    optimizer, x = build(name), np.zeros((4, 4))
    for move in (optimizer.step, optimizer.update):
        with pytest.raises(ValueError, match="`state` and `x` must have one shape"):
            move(x, x.copy(), optimizer.init(np.zeros((1, 4))))
    with pytest.raises(ValueError, match="float32 for `state`"):
        optimizer.update(x, x.copy(), optimizer.init(np.zeros((4, 4), np.float32)))


@pytest.mark.parametrize("name", ["SGD", "heavy ball", "Nesterov", "Adam", "AMSGrad", "AdamW"])
def test_a_rate_for_each_run_is_for_steps_not_for_updates(name, rng):
    optimizer, x = build(name, np.array([0.01, 0.02])), rng.normal(size=(2, 3))
    moved, _ = optimizer.step(x, x, optimizer.init(x))
    alone = build(name, 0.02)
    np.testing.assert_array_equal(moved[1], alone.step(x[1], x[1], alone.init(x[1]))[0])
    with pytest.raises(ValueError, match=r"one rate, got rates of shape \(2, 1\).*Use `step`"):
        optimizer.update(x, x.copy(), optimizer.init(x))


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "Muon"])
@pytest.mark.parametrize("shape", [(1,), (2,), (3, 1), (3, 2)])
def test_a_rate_that_is_neither_one_nor_one_a_run_is_refused(name, shape):
    x = np.ones((3, 2))
    for rate in (np.full(shape, 0.1), lambda k, x, grad: np.full(shape, 0.1)):
        optimizer = build(name, rate)
        with pytest.raises(ValueError, match=r"one number a run, shape \(3,\) for `x`"):
            optimizer.step(x, x, optimizer.init(x))


@pytest.mark.parametrize("name", ["heavy ball", "Nesterov"])
def test_a_momentum_is_one_number_or_one_a_run(name):
    x = np.ones((3, 2))
    optimizer = OPTIMIZERS[name](0.1, beta=np.full(2, 0.5))
    with pytest.raises(ValueError, match=r"got shape \(2,\)"):
        optimizer.step(x, x, optimizer.init(x))
    assert OPTIMIZERS[name](0.1, np.full(3, 0.5)).step(x, x, optimizer.init(x))[0].shape == (3, 2)


@pytest.mark.parametrize(
    ("name", "setting"),
    [("Adam", "beta1"), ("AMSGrad", "beta2"), ("AdamW", "beta1"), ("Muon", "beta")],
)
@pytest.mark.bad_input
def test_a_memory_that_would_broadcast_is_refused(name, setting):
    with pytest.raises(ValueError, match=rf"`{setting}` must be one number, got an array"):
        OPTIMIZERS[name](0.1, **{setting: np.array([0.5, 0.9])})


@pytest.mark.parametrize("setting", ["epsilon", "weight_decay"])
@pytest.mark.bad_input
def test_a_constant_that_would_broadcast_is_refused(setting):
    with pytest.raises(ValueError, match=f"`{setting}` must be 0 or more"):
        OPTIMIZERS["AdamW"](0.1, **{setting: np.array([0.5, 0.9])})


def test_the_class_in_place_of_a_record_is_refused():
    for make in (
        lambda: build("Adam", Cosine),
        lambda: Partition((Piece((2,), OPTIMIZERS["SGD"]),)),
    ):
        with pytest.raises(ValueError, match=r"got the class `(Cosine|SGD)`. Call it"):
            make()


def test_a_partition_moves_no_vector_of_another_length():
    optimizer = Partition((Piece((2,), build("SGD")),))
    state = optimizer.init(np.zeros(2))
    for move in (optimizer.step, optimizer.update):
        with pytest.raises(ValueError, match=r"the sum of the pieces, got \(3,\)"):
            move(np.zeros(3), np.zeros(3), state)


def strange_layouts():
    unaligned = np.zeros(6 * 8 + 1, np.uint8)[1:].view(float).reshape(3, 2)
    return {
        "foreign byte order": np.zeros(SHAPE).astype(np.dtype(float).newbyteorder("S")),
        "unaligned": unaligned,
        "every second": np.zeros((3, 4))[:, ::2],
        "by columns": np.zeros((2, 3)).T,
    }


@pytest.mark.parametrize("name", WITH_UPDATE)
@pytest.mark.parametrize("layout", strange_layouts())
def test_an_update_of_a_strange_array_moves_it_or_says_that_it_cannot(name, layout):
    x = strange_layouts()[layout]
    optimizer, grad = build(name), np.arange(1.0, 7.0).reshape(SHAPE)
    expected = optimizer.step(np.zeros(SHAPE), grad, optimizer.init(np.zeros(SHAPE)))[0]
    with pytest.raises(
        ValueError, match="foreign byte order|contiguous and writeable, and aligned"
    ):
        optimizer.update(x, grad, optimizer.init(np.zeros(SHAPE)))
    assert (x == 0).all()
    gradient = grad.astype(x.dtype)  # a step makes new arrays, so it takes every layout
    close(optimizer.step(x, gradient, optimizer.init(x))[0], expected)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.converted
def test_a_step_takes_lists_and_tables(name):
    x, grad = [[1.0, 2.0], [3.0, 4.0]], [[1, 0], [2, -1]]
    optimizer = build(name)
    expected = optimizer.step(np.array(x), np.array(grad, float), optimizer.init(np.array(x)))[0]
    for as_given in (list, pd.DataFrame):
        ours = optimizer.step(as_given(x), as_given(grad), optimizer.init(as_given(x)))[0]
        np.testing.assert_array_equal(ours, expected)


# (e) Does a planted bug make the test fail?


def test_the_contract_notices_a_wrong_update(rng, monkeypatch):
    monkeypatch.setattr(_inplace, "_AXPY", {"d": lambda x, y, a: y.__iadd__(1.000001 * a * x)})
    x, grad = rng.normal(size=(2, 6))
    optimizer = build("SGD")
    expected, state = optimizer.step(x, grad, optimizer.init(x))[0], optimizer.init(x)
    optimizer.update(x, grad, state)
    with pytest.raises(AssertionError):
        close(x, expected)
