"""Data that may pass between the grader and a student's notebook, and nothing else.

A value is written as JSON. Numbers, strings, booleans and None stand for themselves; every other
value is an object with one key that names its type: {"tuple": [...]}, {"array": [dtype, shape,
bytes]}. Only exact built-in types and numeric arrays exist in this language, so an object that
claims to equal everything cannot be said in it, whatever sends it.

What is written is generous, for honest functions return numbers in many guises: a pandas Series, a
matrix, a deque, a number of extended precision. Each is written as the plain data that it is, and
the reader gets a number, a list or an array. What is read is strict.
"""

import base64
import binascii
import math
import numbers
import sys
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from dlcourse.grading.sandbox.failures import BadValue

MAX_DEPTH = 20
MAX_INT_BITS = 1024
MAX_KEYS = 1000  # equal hashes can be chosen: a set of n such integers costs n**2 comparisons
MAX_DIMENSIONS = 32
DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
    "float16 float32 float64 complex64 complex128"
).split()
_SCALARS = {np.dtype(name).type: name for name in DTYPES}
_SEQUENCES = {"list": list, "tuple": tuple, "set": set}


@dataclass(frozen=True)
class Tensor:
    """An argument that shall reach the student's function as a torch tensor."""

    array: np.ndarray


def encode(value, depth=0):
    """JSON data for `value`; raises TypeError, which says what to do, if it is not plainly data."""
    if depth > MAX_DEPTH:
        raise TypeError(f"values may be nested {MAX_DEPTH} deep, not deeper (or within themselves)")
    kind = type(value)
    if value is None or kind in (bool, float, str):
        return value
    if kind is int:
        return _bounded(value)
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if kind in (bytes, bytearray):
        return {"bytes": base64.b64encode(value).decode()}
    if kind in _SCALARS:
        return {"scalar": _encode_array(np.asarray(value))}
    if kind is Tensor:
        return {"tensor": _encode_array(np.asarray(value.array))}
    torch = sys.modules.get("torch")
    if isinstance(value, getattr(torch, "Tensor", ())):  # nothing where torch is not there in full
        return {"tensor": _encode_array(_of_tensor(value, torch))}
    return _encode_container(value, depth + 1)


def _encode_container(value, depth):
    """Also of classes that are made from the built-in ones, such as a named tuple."""
    for name, kind in (("tuple", tuple), ("list", list), ("set", set | frozenset)):
        if isinstance(value, kind):
            return {name: [encode(item, depth) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(k, depth), encode(v, depth)] for k, v in value.items()]}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, np.generic | np.ndarray):
        return {"scalar" if isinstance(value, np.generic) else "array": _encode_array(value)}
    if isinstance(value, numbers.Number):
        return encode(_plain_number(value))
    return {"array": _encode_array(_as_array(value))}


def _plain_number(value):
    """A number of any class as one of Python's own."""
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real | Decimal):
        return float(value)
    return complex(value)


def _of_tensor(value, torch):
    value = value.detach().cpu().resolve_conj().resolve_neg()
    return (value.float() if value.dtype is torch.bfloat16 else value).numpy()


def _as_array(value):
    """The array that NumPy makes of a Series, a deque, a range and the like."""
    kind = type(value).__name__
    try:
        array = np.asarray(value)
    except Exception as error:
        raise TypeError(f"{kind} is no array: {error}") from None
    if array.ndim == 0 and array.dtype == object:
        raise TypeError(
            f"a value must be a number, string, list, tuple, dict, set or NumPy array, got {kind}"
        )
    return array


def _encode_array(value):
    array = _numeric(value)
    little_endian = array.dtype.newbyteorder("<")
    data = np.ascontiguousarray(array, dtype=little_endian).tobytes()
    return [array.dtype.name, list(array.shape), base64.b64encode(data).decode()]


def _numeric(value):
    """The plain array of one of `DTYPES` that holds the numbers of `value`."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise TypeError("an array may have no masked entries: fill them, or leave them out")
    array = np.asarray(value)
    if array.dtype.name in DTYPES:
        return array
    if array.dtype.kind in "fc":  # of extended precision, which no other machine shares
        return array.astype("float64" if array.dtype.kind == "f" else "complex128")
    if array.dtype == object and all(isinstance(item, numbers.Number) for item in array.flat):
        plain = np.array([_plain_number(item) for item in array.flat]).reshape(array.shape)
        return plain.astype(float) if plain.dtype == object else plain  # integers beyond 64 bits
    raise TypeError(f"an array must hold numbers, got dtype {array.dtype}")


def _bounded(value):
    if value.bit_length() > MAX_INT_BITS:
        raise TypeError(f"an integer may have {MAX_INT_BITS} bits, got {value.bit_length()}")
    return value


def decode(data, depth=0, tensor=np.asarray):
    """The value that JSON `data` stands for. Raises BadValue for anything else.

    A tensor is what `tensor` makes of its array: the array itself, unless the reader has torch.
    """
    if depth > MAX_DEPTH:
        raise BadValue(f"The value is nested more than {MAX_DEPTH} deep.")
    if data is None or type(data) in (bool, float):
        return data
    if type(data) is int:
        return _checked(_bounded, data)
    if type(data) is str:
        return _checked(_text, data)
    if type(data) is not dict or len(data) != 1:
        raise BadValue("The value is not written as a value.")
    ((kind, content),) = data.items()
    if kind in ("array", "scalar", "tensor"):
        array = _decode_array(content)
        if kind == "tensor":
            return tensor(array)
        return array[()] if kind == "scalar" else array
    if kind == "bytes":
        return _decode_bytes(content)
    return _decode_container(kind, content, lambda item: decode(item, depth + 1, tensor))


def _checked(convert, data):
    try:
        return convert(data)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadValue(f"The value cannot be read: {error}.") from None


def _text(text):
    text.encode()  # half a surrogate pair is no text, and would break the report it is written to
    return text


def _decode_container(kind, content, decoded):
    if type(content) is not list:
        raise BadValue(f"A value of type {kind!r:.20} must hold a list.")
    if kind == "complex":
        if [type(part) for part in content] != [float, float]:
            raise BadValue("A complex number has two parts that are floats.")
        return complex(*content)
    if kind in ("dict", "set") and len(content) > MAX_KEYS:
        raise BadValue(f"A dict or set may have {MAX_KEYS} keys, got {len(content)}.")
    if kind == "dict":
        if not all(type(pair) is list and len(pair) == 2 for pair in content):
            raise BadValue("A dict must hold pairs.")
        pairs = [(decoded(k), decoded(v)) for k, v in content]
        return _checked(dict, pairs)
    if kind not in _SEQUENCES:
        raise BadValue(f"There is no type {kind!r:.20} of values.")
    return _checked(_SEQUENCES[kind], [decoded(item) for item in content])


def _decode_bytes(content):
    try:
        return base64.b64decode(content, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise BadValue("The bytes of a value are not base64.") from None


def _decode_array(content):
    if type(content) is not list or len(content) != 3:
        raise BadValue("An array is written as its dtype, shape and bytes.")
    name, shape, data = content
    if type(name) is not str or name not in DTYPES:
        raise BadValue(f"An array must hold numbers, got dtype {name!r:.40}.")
    if type(shape) is not list or len(shape) > MAX_DIMENSIONS:
        raise BadValue(f"A shape is a list of at most {MAX_DIMENSIONS} lengths.")
    if not all(type(length) is int and 0 <= length < 2**40 for length in shape):
        raise BadValue("Each length of a shape is a whole number, zero or more.")
    raw, dtype = _decode_bytes(data), np.dtype(name)
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise BadValue(f"An array of shape {tuple(shape)} does not have {len(raw)} bytes.")
    array = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)
    return _checked(lambda lengths: array.reshape(lengths), shape)
