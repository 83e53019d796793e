"""The wire between the grader and a notebook: nothing that arrives can crash or hold the grader."""

import array
import collections
import contextlib
import decimal
import enum
import fractions
import json
import math
import socket
import threading
import time
from typing import NamedTuple

import numpy as np
import pandas
import pytest
import scipy.sparse
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcourse.grading.sandbox import protocol, values
from dlcourse.grading.sandbox.failures import BadValue, ProtocolError

N_FRAMES = 10_000


class Late(Exception):
    """The deadline of a test."""


def patience(seconds):
    """What Channel asks how long to wait; raises Late once `seconds` have passed."""
    deadline = time.monotonic() + seconds

    def remaining():
        if time.monotonic() >= deadline:
            raise Late
        return deadline - time.monotonic()

    return remaining


def received(data: bytes, seconds: float = 300.0):
    """What the grader makes of `data`, after which the other end closes."""
    ours, theirs = socket.socketpair()
    channel = protocol.Channel(ours)
    try:
        theirs.sendall(data)
        theirs.close()
        return channel.receive(patience(seconds))
    finally:
        channel.close()
        theirs.close()


def sent(value):
    """`value` after a journey through a frame."""
    frame = protocol.pack({"value": values.encode(value)})
    return values.decode(received(frame)["value"])


# ------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -0.0, math.inf, 1j, "x", b"\0", [1, (2.5, "a")], {"a": [1], (1, 2): None}, {1}],
)
def test_a_value_arrives_as_it_was(value):
    assert sent(value) == value
    assert type(sent(value)) is type(value)


def test_nan_and_the_sign_of_zero_arrive():
    assert math.isnan(sent(math.nan))
    assert math.copysign(1, sent(-0.0)) == -1


@pytest.mark.parametrize("name", values.DTYPES)
def test_an_array_of_each_dtype_arrives(name, rng):
    array = rng.normal(scale=50, size=(3, 0, 2)).astype(name), (9 * rng.random((4, 5))).astype(name)
    for sent_array in array:
        arrived = sent(sent_array.T)  # not contiguous
        assert arrived.dtype == sent_array.dtype
        np.testing.assert_array_equal(arrived, sent_array.T)
        assert arrived.flags.writeable


def test_a_scalar_of_numpy_stays_one():
    assert type(sent(np.float32(0.1))) is np.float32
    assert sent(np.float32(0.1)) == np.float32(0.1)


def test_big_endian_arrays_arrive_with_their_values():
    assert sent(np.array([1, 2, 258], dtype=">i4")).tolist() == [1, 2, 258]


class Sly(float):
    pass


class Point(NamedTuple):
    x: float
    y: np.ndarray


GUISES = {
    "subclass of float": (Sly(1.0), 1.0),
    "subclass of str": (np.str_("up"), "up"),
    "member of an enumeration": (enum.IntEnum("Side", "LEFT").LEFT, 1),
    "named tuple": (Point(1.0, np.ones(1)), (1.0, np.ones(1))),
    "ordered dict": (collections.OrderedDict(a=Sly(1)), {"a": 1.0}),
    "frozen set": (frozenset([1]), {1}),
    "fraction": (fractions.Fraction(1, 4), 0.25),
    "decimal": (decimal.Decimal("0.25"), 0.25),
    "number of sympy": (sympy.Float(0.25), 0.25),
    "extended precision": (np.longdouble(0.25), np.float64(0.25)),
    "complex, extended": (np.clongdouble(0.25j), np.complex128(0.25j)),
    "array, extended": (np.array([0.25], dtype=np.longdouble), np.array([0.25])),
    "matrix": (np.matrix([[1.0, 2.0]]), np.array([[1.0, 2.0]])),
    "array that may be masked": (np.ma.array([1.0, 2.0]), np.array([1.0, 2.0])),
    "array of objects": (np.array([1, 0.5], dtype=object), np.array([1.0, 0.5])),
    "huge whole numbers": (np.array([2**70, 1], dtype=object), np.array([2.0**70, 1.0])),
    "series": (pandas.Series([1.0, 2.0]), np.array([1.0, 2.0])),
    "series of nullable": (pandas.Series([1, 2], dtype="Int64"), np.array([1, 2])),
    "index": (pandas.Index([1, 2]), np.array([1, 2])),
    "data frame": (pandas.DataFrame({"a": [1.0]}), np.array([[1.0]])),
    "deque": (collections.deque([1.0, 2.0]), np.array([1.0, 2.0])),
    "deque of arrays": (collections.deque([np.ones(2)]), np.ones((1, 2))),
    "range": (range(3), np.arange(3)),
    "buffer": (array.array("d", [1.0]), np.array([1.0])),
}


@pytest.mark.parametrize(("value", "plain"), GUISES.values(), ids=GUISES)
def test_numbers_in_any_guise_arrive_as_plain_data(value, plain):
    arrived = sent(value)
    assert type(arrived) is type(plain)
    assert getattr(arrived, "dtype", None) == getattr(plain, "dtype", None)
    np.testing.assert_equal(arrived, plain)


def test_tensors_of_any_kind_arrive():
    torch = pytest.importorskip("torch")
    for tensor in (torch.ones(2, requires_grad=True), torch.nn.Parameter(torch.ones(2))):
        np.testing.assert_array_equal(sent(tensor), np.ones(2, dtype=np.float32))
    assert sent(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32
    assert sent(torch.tensor([1j]).conj()).tolist() == [-1j]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.ma.array([1.0, 2.0], mask=[0, 1]), "masked entries: fill them"),
        (np.ma.masked, "masked entries"),
        (np.array([object()]), "must hold numbers, got dtype object"),
        (np.array([None, 1.0]), "must hold numbers, got dtype object"),
        (np.array(["text"]), "must hold numbers"),
        (np.zeros(2, dtype=[("a", float)]), "must hold numbers"),
        (np.datetime64("2020-01-01"), "must hold numbers"),
        (pandas.Series(["a"]), "must hold numbers"),
        (scipy.sparse.eye_array(2), "got dia_array"),
        ((x for x in [1.0]), "got generator"),
        (collections.deque([[1], [2, 3]]), "deque is no array"),
        (object(), "got object"),
        (len, "got builtin_function_or_method"),
        (2**2000, "1024 bits"),
        (fractions.Fraction(2**2000), "too large"),
        (sympy.pi, "got Pi"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_data_is_refused_with_its_kind(value, reason):
    with pytest.raises((TypeError, OverflowError), match=reason):
        values.encode(value)


def test_a_list_within_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(TypeError, match="nested"):
        values.encode(value)


@pytest.mark.parametrize(
    "data",
    [
        [1],
        {},
        {"list": 3},
        {"list": [], "tuple": []},
        {"object": []},
        {"dict": [[1]]},
        {"dict": [[{"list": []}, 1]]},
        {"set": [{"set": []}]},
        {"set": list(range(values.MAX_KEYS + 1))},
        {"complex": [1, 2]},
        {"bytes": "?"},
        {"bytes": 3},
        "\ud800",
        10**400,
        {"array": ["object", [1], "AAAAAAAAAAA="]},
        {"array": ["O", [1], "AAAAAAAAAAA="]},
        {"array": [["float64"], [1], "AAAAAAAAAAA="]},
        {"array": ["float64", [2], "AAAAAAAAAAA="]},
        {"array": ["float64", [-1, -1], "AAAAAAAAAAA="]},
        {"array": ["float64", [True], "AAAAAAAAAAA="]},
        {"array": ["float64", [1.0], "AAAAAAAAAAA="]},
        {"array": ["float64", [1] * 65, "AAAAAAAAAAA="]},
        {"array": ["float64", [0, 2**39, 2**39, 2**39], ""]},
        {"array": ["float64", [2**62, 2**62], ""]},
    ],
    ids=lambda data: repr(data)[:40],
)
def test_data_that_stands_for_no_value_is_refused(data):
    with pytest.raises(BadValue):
        values.decode(data)


def test_nesting_is_bounded_both_ways():
    value, data = 0, 0
    for _ in range(values.MAX_DEPTH + 1):
        value, data = [value], {"list": [data]}
    with pytest.raises(TypeError, match="nested"):
        values.encode(value)
    with pytest.raises(BadValue, match="nested"):
        values.decode(data)


def test_a_tensor_is_an_array_to_a_reader_without_torch():
    data = values.encode(values.Tensor(np.arange(3.0)))
    assert type(values.decode(data)) is np.ndarray
    assert values.decode(data, tensor=list) == [0.0, 1.0, 2.0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["array", "scalar", "dict", "set", "tuple", "complex", "bytes", "x"]),
            inner
            | st.tuples(st.sampled_from(values.DTYPES), st.just([1]), st.just("AA==")).map(list),
            max_size=2,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(JSON)
def test_decoding_gives_a_value_or_bad_value(data):
    with contextlib.suppress(BadValue):
        value = values.decode(data)
        repr(values.encode(value))  # what can be read can be written


# ------------------------------------------------------------------------------------- frames


def hostile_bytes(rng, n):
    """Bytes that are noise, truncated, mutated or nonsense in JSON."""
    frame = protocol.pack({"id": "7", "result": values.encode([[1.5], "a", np.arange(4.0)])})
    kind = n % 5
    if kind == 0:
        return rng.bytes(int(rng.integers(0, 200)))
    if kind == 1:
        body = rng.bytes(int(rng.integers(0, 200)))
        return len(body).to_bytes(4, "big") + body
    if kind == 2:
        return frame[: int(rng.integers(0, len(frame)))]
    mutated = bytearray(frame)
    if kind == 3:
        for place in rng.integers(0, len(frame), size=3):
            mutated[place] = rng.integers(0, 256)
        return bytes(mutated)
    letters = rng.choice([*b'[]{}",:0123456789.eE-tfn\\u '], size=int(rng.integers(1, 80)))
    return len(letters).to_bytes(4, "big") + bytes(letters.astype(np.uint8))


def test_ten_thousand_hostile_frames_neither_crash_nor_hold_the_grader(rng):
    start, endings = time.process_time(), set()
    for n in range(N_FRAMES):
        try:
            message = received(hostile_bytes(rng, n))
            values.decode(message.get("result"))
            endings.add("read")
        except (ProtocolError, EOFError, BadValue) as refusal:
            endings.add(type(refusal).__name__)
    assert endings == {"read", "ProtocolError", "EOFError", "BadValue"}
    assert time.process_time() - start < 60


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000 + b"]" * 50_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"7" * 1_000_000,
        b'{"x": -' + b"7" * 1_000_000 + b"}",
        b"[" + b"[]," * 200_000 + b"[]]",
        b"[1, 2]",
        b"3",
        b"",
        b"\xff\xfe",
        b'{"x": "\\',
        b'{"x": "' + b'\\"' * 200_000 + b"," * 200_000,
    ],
    ids=lambda body: f"{body[:12]}...",
)
def test_bombs_of_json_are_refused_at_once(body):
    start = time.process_time()
    with pytest.raises(ProtocolError):
        protocol.unpack(body)
    assert time.process_time() - start < 5


def test_commas_within_a_text_are_not_items():
    text = "," * (2 * protocol.MAX_ITEMS) + '\\"'
    assert sent(text) == text


def test_a_frame_longer_than_allowed_is_refused_by_its_header():
    with pytest.raises(ProtocolError, match="bytes"):
        received((protocol.MAX_FRAME_BYTES + 1).to_bytes(4, "big"))


def test_a_message_that_no_reader_would_take_is_not_sent():
    with pytest.raises(ValueError, match="items"):
        protocol.pack({"value": [0] * (protocol.MAX_ITEMS + 1)})


def test_a_slow_drip_gains_no_time():
    ours, theirs = socket.socketpair()
    channel, stop = protocol.Channel(ours), threading.Event()

    def drip():
        theirs.send((10_000).to_bytes(4, "big"))
        while not stop.wait(0.01):
            theirs.send(b" ")

    thread = threading.Thread(target=drip)
    thread.start()
    start = time.monotonic()
    try:
        with pytest.raises(Late):
            channel.receive(patience(0.2))
        assert 0.2 <= time.monotonic() - start < 50  # half of what the whole drip would take
    finally:
        stop.set()
        thread.join()
        channel.close()
        theirs.close()


def test_a_reader_that_never_reads_gains_no_time():
    ours, theirs = socket.socketpair()
    channel = protocol.Channel(ours)
    with theirs, pytest.raises(Late):
        channel.send({"value": values.encode(np.zeros(500_000))}, patience(0.2))
    channel.close()


def test_both_ends_speak_the_same_language():
    ours, theirs = socket.socketpair()
    channel, pipe = protocol.Channel(ours), protocol.Pipe(theirs.fileno())
    channel.send({"question": 1}, patience(300.0))
    assert pipe.receive() == {"question": 1}
    assert not channel.has_unread()
    pipe.send({"answer": 2})
    assert channel.has_unread()
    assert channel.receive(patience(300.0)) == {"answer": 2}
    channel.close()
    with pytest.raises(EOFError):
        pipe.receive()
    theirs.close()


def test_the_writer_is_told_when_the_reader_is_gone():
    ours, theirs = socket.socketpair()
    channel = protocol.Channel(ours)
    theirs.close()
    with pytest.raises(EOFError):
        channel.send({"value": 1}, patience(300.0))
    channel.close()


def test_a_frame_is_its_length_and_json():
    frame = protocol.pack({"a": [1, 2.5]})
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert json.loads(frame[4:]) == {"a": [1, 2.5]}
