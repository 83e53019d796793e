"""Bytes handed in are read without trust: a clear verdict, whatever they are."""

import json
import re
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcourse.grading.marking import similarity, submission
from dlcourse.grading.sandbox import protocol
from dlcourse.grading.sandbox.inside import magics
from tests.library.grading.samples import from_cells, homework
from tests.library.grading.samples import submission as filled

CODE = "def log_likelihood(X, y, beta):\n    return 0.0"


def read(data):
    wanted = homework()
    return submission.read(data, wanted.name, wanted.functions)


def as_json(**notebook):
    return json.dumps({"metadata": {}, "nbformat": 4, **notebook}).encode()


def code(source, **more):
    return {"cell_type": "code", "source": source, **more}


VERDICTS = {
    "nothing": (b"", submission.EMPTY, "file is empty"),
    "blanks": (b" \n\t ", submission.EMPTY, "file is empty"),
    "no code": (as_json(cells=[]), submission.EMPTY, "no code"),
    "text only": (as_json(cells=[{"cell_type": "markdown", "source": "a"}]), submission.EMPTY, ""),
    "large": (b"[" + b" " * 50_000_000, submission.TOO_LARGE, "more than 10 MB"),
    "many cells": (as_json(cells=[code("1")] * 3_000), submission.TOO_LARGE, "2,000 cells"),
    "much code": (as_json(cells=[code("1;" * 600_000)]), submission.TOO_LARGE, "characters"),
    "PDF": (b"%PDF-1.7 \xff\xfe\x00", submission.NOT_A_NOTEBOOK, "not JSON"),
    "Python": (CODE.encode(), submission.NOT_A_NOTEBOOK, "not JSON"),
    "half": (filled(homework())[:2_000], submission.NOT_A_NOTEBOOK, "not JSON"),
    "bad UTF-8": (filled(homework()) + b"\xff", submission.NOT_A_NOTEBOOK, "not JSON"),
    "huge number": (b"1" * 9_000, submission.NOT_A_NOTEBOOK, ""),
    "deep lists": (b"[" * 1_000_000, submission.NOT_A_NOTEBOOK, "nested too deeply"),
    "deep dicts": (b'{"cells":' * 200_000, submission.NOT_A_NOTEBOOK, "nested too deeply"),
    "a list": (b"[1, 2]", submission.NOT_A_NOTEBOOK, "no cells"),
    "a number": (b"3", submission.NOT_A_NOTEBOOK, "no cells"),
    "cells a text": (as_json(cells="code"), submission.NOT_A_NOTEBOOK, "no cells"),
    "worksheets a text": (as_json(worksheets="code"), submission.NOT_A_NOTEBOOK, "no cells"),
    "format 5": (as_json(cells=[code(CODE)], nbformat=5), submission.OTHER_FORMAT, "5 is unknown"),
    "format x": (as_json(cells=[], nbformat=["x"]), submission.OTHER_FORMAT, "unknown"),
    "other homework": (filled(homework("optimizers")), submission.WRONG_HOMEWORK, "of optimizers"),
    "no homework": (as_json(cells=[code("x = 1")]), submission.WRONG_HOMEWORK, "none of its"),
}


@pytest.mark.parametrize(("data", "status", "words"), VERDICTS.values(), ids=VERDICTS)
def test_what_cannot_be_graded_gets_a_verdict(data, status, words):
    found = read(data)
    assert found.status == status
    assert words in found.message
    assert not found.is_gradable
    assert found.cells == ()


def in_format(number, source):
    if number == 4:
        return as_json(cells=[code(source)])
    cell = {"cell_type": "code", "input": source}
    return as_json(worksheets=[{"cells": [{"cell_type": "heading"}, cell]}], nbformat=number)


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("source", [CODE, CODE.splitlines(True)])
def test_older_formats_are_read(number, source):
    found = read(in_format(number, source))
    assert found.is_gradable
    assert found.cells == (CODE,)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_of_json_are_read(encoding):
    text = json.dumps(json.loads(from_cells(CODE, "'β 字 🎓'")), ensure_ascii=False)
    found = read(text.encode(encoding))
    assert found.cells == (CODE, "'β 字 🎓'")


def test_odd_cells_do_no_harm():
    odd = [None, 3, [], {}, code(None), code([1, "a", None]), code({"a": 1}), code("\ud800")]
    found = read(as_json(cells=[*odd, code(CODE)]))
    assert found.cells == ("", "a", "", "?", CODE)


def test_the_homework_is_known_without_metadata():
    notebook = json.loads(filled(homework()))
    notebook["metadata"] = {}
    data = json.dumps(notebook).encode()
    assert submission.homework_of(data) == "logistic_regression"
    assert read(data).is_gradable
    assert submission.read(data, "optimizers", ("adam",)).status == submission.WRONG_HOMEWORK
    assert submission.homework_of(b"{") == ""


IMPORTS = {
    "import dlcourse.losses": ["dlcourse.losses"],
    "from dlcourse import losses, optim": ["dlcourse.losses"],
    "from dlcourse.losses import LogisticLoss as L": ["dlcourse.losses"],
    "def f():\n    from sklearn.linear_model import LogisticRegression": ["sklearn"],
    "__import__('dlcourse.losses')": ["dlcourse.losses"],
    "%matplotlib inline\nimport sklearn": ["sklearn"],
    "import dlcourse": [],
    "import dlcourse.losses_of_mine": [],
    "from dlcourse import (\n    losses,  # one\n    optim as o,\n)": ["dlcourse.losses"],
    "import numpy as np, sklearn.linear_model as lm": ["sklearn"],
    "x = 1; import sklearn": ["sklearn"],
    "if x: import sklearn": ["sklearn"],
    "import numpy, \\\n    sklearn": ["sklearn"],
    "from dlcourse.losses import *": ["dlcourse.losses"],
    "text = '''\nimport sklearn\n'''": [],
    "from . import sklearn": [],
    "# import sklearn": [],
    "import sklearn +": [],
    "\x00": [],
}


@pytest.mark.parametrize(("source", "found"), IMPORTS.items(), ids=range(len(IMPORTS)))
def test_imports_are_found_without_running_anything(source, found):
    assert submission.imports_of([source], ["dlcourse.losses", "sklearn"]) == found


PATHOLOGICAL = {
    "sum": "+".join(["1"] * 100_000),
    "signs": "-" * 100_000 + "1",
    "brackets": "[" * 100_000,
    "attributes": "a" + ".b" * 100_000,
    "lambdas": "lambda:" * 50_000 + "0",
    "text": '"""' + "\n" * 500_000,
    "question": "a." * 300_000 + "?",
    "indents": "\n".join(" " * i + "if 1:" for i in range(500)),
}


@pytest.mark.parametrize("source", PATHOLOGICAL.values(), ids=PATHOLOGICAL)
def test_no_code_makes_reading_it_slow_or_fail(source):
    start = time.process_time()
    assert submission.imports([source]) == set()
    assert isinstance(similarity.normalized(source), list)
    assert time.process_time() - start < 10


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["cells", "metadata", "nbformat", "worksheets", "source", "cell_type"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None)
@given(anything | st.binary(max_size=300))
def test_no_bytes_raise(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    found = read(data)
    assert len(found.digest) == 64
    assert found.is_gradable or found.message
    assert isinstance(submission.homework_of(data), str)


BOMBS = {
    "a tower of dots": "import " + ".".join("a" * 30_000),
    "a tower over lines": "import a" + ".\\\n a" * 5_000,
    "a long name, many times": f"from {'m' * 20_000} import "
    + ", ".join(f"b{i}" for i in range(2_000)),
    "many short lines": "x\n" * 200_000,
}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS)
def test_no_cell_takes_much_memory_to_look_for_imports(source):
    tracemalloc.start()
    submission.imports([source])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_imports_of_many_dots_are_still_found():
    assert submission.imports_of(["import a.b.c.d.e"], ["a.b"]) == ["a.b"]


SLOW_TO_PARSE = {
    "f-string of many parts": "f'" + "{a}" * 30_000 + "'",
    "f-strings on many lines": "f'''" + "{a}\n" * 25_000 + "'''",
    "f-strings within f-strings": 'f\'{f"{1}" + ' * 6_000 + "1" + "}'" * 6_000,
    "open brackets": "import a\n" + "from a import (" * 60_000,
    "many imports": "import " + "a, " * 300_000,
    "brackets after a magic": "%x\n" + "f(" * 400_000,
    "quotes": "'\\" * 400_000,
}


@pytest.mark.parametrize("source", SLOW_TO_PARSE.values(), ids=SLOW_TO_PARSE)
def test_reading_code_takes_time_as_its_length(source):
    times = []
    for part in (source[: len(source) // 8], source):
        start = time.process_time()
        submission.imports([part])
        times.append(time.process_time() - start)
    assert times[1] < 100 * times[0] + 3  # eight times as long, not sixty-four


def test_padding_and_towers_hide_no_import():
    for padding in ("#" + ".a" * 50_000, "x = 1\n" * 50_000, "# " + "y" * 200_000):
        source = f"{padding}\nimport dlcourse.losses  # {'.a' * 200}"
        assert submission.imports_of([source], ["dlcourse.losses"]) == ["dlcourse.losses"]


def groups_that_go_on_after_a_failure(pattern):
    """Possessive groups with a branch that can fail after it has read something."""
    parser = re._parser

    def cannot_fail(step):
        operation, about = step
        return operation is parser.MAX_REPEAT and about[0] == 0

    def walk(steps):
        for operation, about in steps:
            if operation in (parser.POSSESSIVE_REPEAT, parser.ATOMIC_GROUP):
                body = list(about if operation is parser.ATOMIC_GROUP else about[2])
                branches = body[0][1][1] if body[0][0] is parser.BRANCH else [body]
                if not all(cannot_fail(step) for branch in branches for step in branch[1:]):
                    yield body
            for part in about if isinstance(about, tuple | list) else [about]:
                for inner in part if isinstance(part, list) else [part]:
                    if isinstance(inner, parser.SubPattern):
                        yield from walk(inner)

    return [*walk(parser.parse(pattern.pattern, pattern.flags))]


def test_a_possessive_group_with_a_look_ahead_behind_its_first_sign_is_found():
    assert groups_that_go_on_after_a_failure(re.compile("'(?:[^']++|'(?!''))*+'"))
    assert not groups_that_go_on_after_a_failure(re.compile(r"'(?:[^']++|\\.?)*+'"))


@pytest.mark.parametrize("module", [magics, protocol, submission])
def test_code_is_read_alike_by_each_python(module):
    """Python before 3.11.5 goes on from where a branch of a possessive group has failed."""
    patterns = [value for value in vars(module).values() if isinstance(value, re.Pattern)]
    assert patterns
    assert not any(map(groups_that_go_on_after_a_failure, patterns))
