"""The rows of book/errata.yml and the tests that show them: each must name the other."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from tests import ROOT
from tools import errata_rows

ROWS = errata_rows.read()
FOUND = {}  # id of a test -> its syntax
MARKED = defaultdict(list)  # id of a row -> tests that name it
for path in sorted(Path(ROOT, "tests").rglob("test_*.py")):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            FOUND[f"{path.relative_to(ROOT).as_posix()}::{node.name}"] = node
for test, node in FOUND.items():
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.erratum":
            for name in call.args:
                MARKED[ast.literal_eval(name)].append(test)


def fail_with(faults):
    """Fail with the sentences and nothing else, if there are any."""
    message = "\n".join(faults)
    if message:
        pytest.fail(message, pytrace=False)


def test_every_row_names_tests_that_are_there_and_name_it():
    marker = '@pytest.mark.erratum("{}")'
    fail_with(
        f"book/errata.yml: erratum {row.id} names {test}, "
        + ("which does not name it" if test in FOUND else "and there is no such test")
        + f". Cure: {'mark it' if test in FOUND else 'write it and mark it'} "
        f"{marker.format(row.id)}, or correct the row."
        for row in ROWS.values()
        for test in row.tests
        if test not in MARKED[row.id]
    )


def test_every_test_of_an_erratum_is_named_by_its_row():
    fail_with(
        f'{test} is marked @pytest.mark.erratum("{name}"), '
        + ("whose row does not name it" if name in ROWS else "and there is no such row")
        + f". Cure: add {'it to the row' if name in ROWS else 'the row'} in book/errata.yml, or "
        "correct the marker."
        for name, tests in MARKED.items()
        for test in tests
        if name not in ROWS or test not in ROWS[name].tests
    )


def test_every_row_has_tests_or_says_why_not():
    fail_with(
        f"book/errata.yml: erratum {row.id} must have `tests`, or `unchecked` with the reason why "
        "nothing can be computed, and not both."
        for row in ROWS.values()
        if bool(row.tests) == bool(row.unchecked)
    )


def compared(test):
    """Names of the numbers that a test compares: the keywords of `printed.agrees(...)`."""
    for call in ast.walk(FOUND[test]):
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("printed."):
            for keyword in call.keywords:
                yield keyword.arg or computed_name(keyword.value)


def computed_name(node):
    """The name in `**{f"width_{width}": distance}`, with what is computed left out."""
    return next(part.value for part in ast.walk(node) if isinstance(part, ast.Constant))


def test_every_number_of_a_row_is_compared_by_one_of_its_tests():
    names = {
        row.id: tuple(name for test in row.tests if test in FOUND for name in compared(test))
        for row in ROWS.values()
    }
    fail_with(
        f"book/errata.yml: no test of erratum {row.id} compares its number `{number}`. Cure: "
        f"`printed.agrees({number}=...)` in one of them."
        for row in ROWS.values()
        for number in row.numbers
        if not any(name and number.startswith(name) for name in names[row.id])
    )


def test_the_numbers_of_a_row_are_those_in_its_texts():
    fail_with(
        f"book/errata.yml: erratum {row.id} has numbers {sorted(row.numbers)} and places for "
        f"{sorted(places)}. Cure: a place `<name>` for each number, and a number for each place."
        for row in ROWS.values()
        if (places := set(errata_rows.PLACE.findall(row.printed + row.correct + row.shown)))
        != set(row.numbers)
    )
