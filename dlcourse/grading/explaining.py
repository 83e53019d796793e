"""What a failure of a student's function means, in words: where it arose and what to do.

Failures come from two roads: as exceptions of the student's own notebook, and as what the grader's
sandbox says of them. `Raised` is an exception on either.
"""

import linecache
import re
from dataclasses import dataclass

from dlcourse.grading.expectations import Mismatch, shown
from dlcourse.grading.recording import Call
from dlcourse.grading.sandbox.failures import BadValue, CallTimeout, StudentGone
from dlcourse.grading.stopping import TooLong

ARITY = re.compile(r"positional argument|keyword argument|multiple values for argument")
NO_CALL = re.compile(r"got (builtin_function_or_method|method|method-wrapper|function|ufunc)\b")
NAME = re.compile(r"name '(\w+)' is not defined")
SHAPES = re.compile(r"shape|dimension|broadcast|size \d+ is different", re.IGNORECASE)
NOTHING_THERE = (
    "Where homework is graded there is no network, no other program and no file of yours."
)
ADVICE = {
    "FileNotFoundError": NOTHING_THERE,
    "IndexError": "The index lies outside: print it, and the length of what it goes into.",
    "MemoryError": "This takes more memory than a notebook may: print the shapes of what it makes.",
    "ModuleNotFoundError": "This module is not there where homework is graded.",
    "PermissionError": NOTHING_THERE,
    "RecursionError": "The function calls itself without end.",
    "UnboundLocalError": "This name is read before it has a value in the function.",
    "ZeroDivisionError": "The divisor is zero here: print it.",
}
STOPPED_HERE = "The function stops at this line, before it returns: print what enters it."
ENDLESS = "A loop does not end: look at what should make its condition false."
GONE = "The notebook could not be called: it ended, or took too long."


class NotRun(Exception):
    """A test that was left out."""


LIMITS = (BadValue, CallTimeout, StudentGone, TooLong, NotRun)


@dataclass(frozen=True)
class Place:
    """A line of the notebook: in which cell, its number there, and its text."""

    cell: str  # such as "code cell 5"
    line: int
    text: str = ""

    def __str__(self):
        return f"{self.cell}, line {self.line}" + (f":  {self.text}" if self.text else "")


@dataclass(frozen=True)
class Raised:
    """An exception by name and message, and where it arose; nowhere if the call was refused."""

    kind: str
    text: str
    place: Place | None


def raised_here(error: BaseException, namespace: dict) -> Raised:
    """An exception of this process. All code of a notebook shares its `namespace`."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals is namespace:
            found = trace
        trace = trace.tb_next
    place = None
    if found is not None:
        code = found.tb_frame.f_code
        text = linecache.getline(code.co_filename, found.tb_lineno).strip()
        place = Place(f"the cell of `{code.co_name}`", found.tb_lineno, text)
    return Raised(type(error).__name__, str(error), place)


def told(error: BaseException, calls: list[Call], raised: Raised) -> list[str]:
    """What happened, in lines."""
    if isinstance(error, Mismatch):
        return [error.about, f"expected  {error.expected}", f"got       {error.got}"]
    lines = [raised.text]
    if is_exception(error, calls):
        lines = [f"your code raised {raised.kind}: {raised.text}"]
    elif not isinstance(error, LIMITS):
        got = shown(calls[-1].result) if calls else "nothing"
        return ["your result has another form than expected", f"got       {got}"]
    return lines + ([f"in {raised.place}"] if raised.place else [])


def advice(error: BaseException, calls: list[Call], raised: Raised, signature: str) -> str:
    """What to do about it; "" where only the test can say. `signature` is what the question asks.

    >>> raised = Raised("TypeError", "f() takes 1 positional argument but 2 were given", None)
    >>> advice(TypeError(), [Call("f", (1, 2), {}, False, error="TypeError")], raised, "f(x, y)")
    'The question asks for `f(x, y)`: take these arguments, in this order.'
    """
    if isinstance(error, BadValue):
        return _about_no_data(raised.text)
    if isinstance(error, StudentGone):
        return GONE
    if isinstance(error, CallTimeout | TooLong):
        return ENDLESS
    if not is_exception(error, calls):
        return ""
    if is_arity(raised):
        asked = f"`{signature}`" if "(" in signature else "other arguments"
        return f"The question asks for {asked}: take these arguments, in this order."
    if match := NAME.search(raised.text):
        return f"`{match[1]}` does not exist here: a typo, or a cell that was not run."
    if "NoneType" in raised.text:
        return "Something is None here, perhaps the result of a function without `return`."
    if raised.kind == "ValueError" and SHAPES.search(raised.text):
        return "The shapes do not fit together: print those that meet in this line."
    return ADVICE.get(raised.kind, STOPPED_HERE)


def is_exception(error: BaseException, calls: list[Call]) -> bool:
    """Whether the student's function raised it; else it is a wrong result, or a limit."""
    raised = bool(calls) and calls[-1].error is not None
    return raised and not isinstance(error, LIMITS)


def is_arity(raised: Raised) -> bool:
    """Whether the function takes other arguments than the question's."""
    return raised.kind == "TypeError" and not raised.place and bool(ARITY.search(raised.text))


def _about_no_data(text):
    if NO_CALL.search(text):
        return "That is a function, not its value: add the parentheses `()`, as in `x.sum()`."
    return "Return a number or a NumPy array: `np.asarray(...)` makes one of most things."
