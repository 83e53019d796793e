"""A student's functions as a test sees them, with each call written down.

Tests are functions of `student`, whose attributes are the student's functions. Here `student` is a
notebook's own namespace; the grader has a proxy in its place that calls into the sandbox. Results
pass through the same frames in both, so that one road takes nothing which the other refuses.
"""

import contextlib
import contextvars
import copy
from dataclasses import dataclass

import numpy as np

from dlcourse.grading.expectations import same
from dlcourse.grading.sandbox import protocol, values
from dlcourse.grading.sandbox.failures import BadValue

TESTS_USE = """\
import numpy as np
from dlcourse.grading.expectations import expect
"""


class NotDefined(Exception):
    """The notebook has no function of this name."""


@dataclass(frozen=True)
class Call:
    """One call of a student's function: by what name, with what, and what came of it."""

    function: str
    args: tuple
    kwargs: dict
    returns_args: bool  # asked for by `with_args`
    result: object = None
    error: str | None = None  # name of the exception that it raised

    def is_like(self, other) -> bool:
        """Whether `other` came to the same result or the same kind of error."""
        if self.error or other.error:
            return self.error == other.error
        return same_answer(self.result, other.result)


def same_answer(first, second) -> bool:
    """Whether two results agree, part by part where they are tuples."""
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(same_answer, first, second))
    return same(first, second)


class InProcess:
    """Functions of a namespace; arguments go by value, as they do to the sandbox.

    Raises `NotDefined` for a name that stands for none.
    """

    def __init__(self, namespace: dict):
        self._namespace = namespace

    def __getattr__(self, name):
        function = self._namespace.get(name)
        if not callable(function):
            raise NotDefined(f"`{name}` is not defined yet. Run the cell that defines it.")
        return _ByValue(function, name)


class _ByValue:
    def __init__(self, function, name):
        self._function, self._name = function, name

    def __call__(self, *args, **kwargs):
        result, _ = self._called(args, kwargs)
        return as_data(self._name, result)

    def with_args(self, *args, **kwargs):
        """The result, and the arguments as the call left them."""
        return as_data(self._name, self._called(args, kwargs))

    def _called(self, args, kwargs):
        args = copy.deepcopy(args)
        return self._function(*args, **copy.deepcopy(kwargs)), args


def as_data(name, value):
    """`value`, returned by the function `name`, as it leaves the sandbox; raises `BadValue` if it
    cannot.

    Whoever handed in another kind of object would read the same refusal in the report.
    """
    try:
        frame = protocol.pack({"result": values.encode(value)})
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadValue(f"`{name}` returned no data: {error}.") from None
    return values.decode(protocol.unpack(frame[4:])["result"])


class Recorder:
    """A student whose calls are kept, in order, in `calls`."""

    def __init__(self, student):
        self._student = student
        self.calls: list[Call] = []

    def __getattr__(self, name):
        return _Recorded(getattr(self._student, name), name, self.calls)


class _Recorded:
    def __init__(self, function, name, calls):
        self._function, self._name, self._calls = function, name, calls

    def __call__(self, *args, **kwargs):
        return self._keep(self._function, args, kwargs, False)

    def with_args(self, *args, **kwargs):
        return self._keep(self._function.with_args, args, kwargs, True)

    def _keep(self, function, args, kwargs, returns_args):
        sent = (*copy.deepcopy((args, kwargs)), returns_args)
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            kind = getattr(error, "type", type(error).__name__)  # a StudentError carries the name
            self._calls.append(Call(self._name, *sent, error=str(kind)))
            raise
        self._calls.append(Call(self._name, *sent, result=copy.deepcopy(result)))
        return result


def namespace_of(*sources: str) -> dict:
    """What trusted sources define, run one after the other in one fresh namespace."""
    namespace = {"__name__": "homework"}
    for source in sources:
        exec(compile(source, "<homework>", "exec"), namespace)  # only ever a master's own code
    return namespace


def attempt(test, student, *rng):
    """Run one test; returns what it raised, None if it holds, and the calls that it made."""
    recorder, raised = Recorder(student), None
    try:
        test(recorder, *rng)
    except Exception as error:  # whatever a wrong answer leads to, it is a wrong answer
        raised = error
    if (heard := _heard.get()) is not None:
        heard.append((raised, recorder.calls))
    return raised, recorder.calls


@contextlib.contextmanager
def overheard():
    """A list to which every `attempt` in the block adds what it returns, whoever asked for it."""
    heard = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


_heard = contextvars.ContextVar("heard", default=None)


def replay(calls: list[Call], namespace: dict) -> list[Call]:
    """The same calls to the functions of `namespace`, until one of them raises."""
    recorder = Recorder(InProcess(namespace))
    with np.errstate(all="ignore"):
        for call in calls:
            try:
                function = getattr(recorder, call.function)
                function = function.with_args if call.returns_args else function
                function(*call.args, **call.kwargs)
            except Exception:
                break
    return recorder.calls
