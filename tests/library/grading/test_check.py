"""`check("q1")`: what passes, what failed and why, with the right hint and never an answer."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from dlcourse.grading import release
from dlcourse.grading.check import Feedback
from dlcourse.grading.expectations import Mismatch, expect, same, shown
from dlcourse.grading.recording import InProcess, NotDefined, Recorder, attempt, replay
from tests.library.grading.samples import NAMES, homework

QUESTIONS = [(name, question) for name in NAMES for question in homework(name).questions]
MISTAKES = [(name, q, mistake) for name, q in QUESTIONS for mistake in q.mistakes]


def opened(name, *sources):
    """The namespace of a released notebook after its setup and these cells, and its `check`."""
    namespace = {}
    wanted = homework(name)
    for source in (release.checks_source(wanted), wanted.setup, *sources):
        exec(source, namespace)
    return namespace["check"]


@pytest.mark.parametrize(("name", "question"), QUESTIONS, ids=lambda v: getattr(v, "id", v))
def test_the_solution_passes(name, question):
    feedback = opened(name, question.solution)(question.id)
    assert feedback.is_passed
    assert "visible tests pass" in repr(feedback)
    assert "FAIL" not in repr(feedback)


@pytest.mark.parametrize(
    ("name", "question", "mistake"), MISTAKES, ids=lambda v: getattr(v, "name", getattr(v, "id", v))
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # some mistakes divide by zero
def test_a_mistake_gets_its_hint_and_no_answer(name, question, mistake):
    feedback = opened(name, mistake.source)(question.id)
    failed = [test for test in feedback.tests if not test.is_passed]
    for test in failed:
        assert test.lines[-1] == f"hint      {mistake.hint}"
        assert any(line.startswith(("expected", "your code raised")) for line in test.lines)
    told = "".join(repr(feedback).split())
    solution = [line for line in question.solution.splitlines() if line not in question.starter]
    assert not any("".join(line.split()) in told for line in solution)


def test_most_mistakes_are_caught_before_hand_in():
    caught = 0
    for name, question, mistake in MISTAKES:
        with np.errstate(all="ignore"):
            caught += not opened(name, mistake.source)(question.id).is_passed
    assert 0.9 * len(MISTAKES) < caught < len(MISTAKES)  # the rest is what hidden tests are for


def test_a_failure_says_what_was_expected_and_what_came():
    wrong = "def log_likelihood(X, y, beta):\n    return 1.25"
    text = repr(opened("logistic_regression", wrong)("q1"))
    assert "q1: 0 of 2 visible tests pass." in text
    assert "expected  -2.07944" in text
    assert "got       1.25" in text
    fallback = homework().question("q1").tests[0].hint
    assert f"hint      {fallback}" in text


def test_an_exception_is_shown_as_one():
    wrong = "def gradient(X, y, beta):\n    return X @ y"
    text = repr(opened("logistic_regression", wrong)("q2"))
    assert "your code raised ValueError: matmul" in text


ADVICE = {
    "return X @ beta / X[99]": "The index lies outside",
    "return X @ y": "The shapes do not fit together",
    "return unknown": "`unknown` does not exist here",
    "return None + 1": "Something is None here",
    "return 1 // 0": "The divisor is zero here",
    "return {}[1]": "The function stops at this line",
    "return gradient(X, y, beta)": "calls itself without end",
    "return np.ones(10**15)": "takes more memory",
    "return np.nothing": "The function stops at this line",
    "return open('data.csv')": "none of your files|no file of yours",
}
NO_DATA = {
    "return X.sum": "add the parentheses `()`",
    "return X.T.dot": "add the parentheses `()`",
    "return len": "add the parentheses `()`",
    "return sigmoid": "add the parentheses `()`",
    "return object()": "Return a number or a NumPy array",
    "return np.array(['a'])": "Return a number or a NumPy array",
}


@pytest.mark.parametrize(("body", "words"), ADVICE.items(), ids=ADVICE)
def test_an_exception_gets_its_line_and_a_hint_of_its_own(body, words):
    feedback = opened("logistic_regression", f"def gradient(X, y, beta):\n    {body}")("q2")
    generic = [test.hint for test in homework().question("q2").tests]
    for test in feedback.tests:
        assert test.lines[0].startswith("your code raised ")
        assert test.lines[1] == "in the cell of `gradient`, line 2"
        assert re.search(words, test.lines[2])
        assert not any(hint in test.lines[2] for hint in generic)


@pytest.mark.parametrize(("body", "words"), NO_DATA.items(), ids=NO_DATA)
def test_a_result_that_is_no_data_is_called_so(body, words):
    feedback = opened("logistic_regression", f"def gradient(X, y, beta):\n    {body}")("q2")
    assert not feedback.is_passed
    for test in feedback.tests:
        assert test.lines[0].startswith("`gradient` returned no data: ")
        assert words in test.lines[1]


@pytest.mark.parametrize(
    "head",
    ["gradient(X, y)", "gradient()", "gradient(X, y, beta, rate)", "gradient(*, X, y, beta)"],
)
def test_other_arguments_than_the_questions_are_said(head):
    text = repr(opened("logistic_regression", f"def {head}:\n    return 1.0")("q2"))
    assert "your code raised TypeError: gradient() " in text
    assert text.count("The question asks for `gradient(X, y, beta)`: take these arguments") == 2


def test_a_call_with_wrong_arguments_inside_of_the_function_is_another_thing():
    wrong = "def helper(a):\n    return a\n\ndef gradient(X, y, beta):\n    return helper(X, y)"
    text = repr(opened("logistic_regression", wrong)("q2"))
    assert "in the cell of `gradient`, line 5" in text
    assert "The question asks for" not in text


def test_a_result_of_another_form_is_shown():
    text = repr(opened("optimizers", "def adam(*arguments):\n    return 1j")("q5"))
    assert "got       1j" in text


LOOPS = {
    "plain": "    while True:\n        pass",
    "sleeps": "    import time\n    time.sleep(10_000)",
    "catches": "    while True:\n        try:\n            sum(range(9))\n        except: pass",
    "returns": "    try:\n        while True:\n            pass\n    except BaseException:\n"
    "        return -X.T @ y",
}


@pytest.mark.parametrize("in_thread", [False, True], ids=["main thread", "another"])
@pytest.mark.parametrize("body", LOOPS.values(), ids=LOOPS)
def test_an_endless_loop_is_stopped_and_said(body, in_thread, monkeypatch):
    if in_thread and "sleep(" in body:
        body = body.replace("time.sleep(10_000)", "[time.sleep(0.01) for _ in range(10**6)]")
    monkeypatch.setattr("dlcourse.grading.check.LIMIT_SECONDS", 0.2)
    check = opened("logistic_regression", f"def gradient(X, y, beta):\n{body}")
    with ThreadPoolExecutor(1) as pool:
        feedback = pool.submit(check, "q2").result() if in_thread else check("q2")
    first, second = feedback.tests
    assert first.lines[0] == "stopped after 0.2 seconds"
    assert re.match(r"in the cell of `\S+`, line [2-5]", first.lines[1])
    assert "A loop does not end" in first.lines[2]
    assert second.lines == ("not run, because the one before it did not end",)
    assert not feedback.is_passed


def test_all_questions_are_summed_up():
    solutions = [homework().question(id).solution for id in ("q1", "q2")]
    wrong = "def newton_step(X, y, beta):\n    return beta"
    starter = homework().question("q4").starter
    text = repr(opened("logistic_regression", *solutions, wrong, starter)())
    lines = text.split("\n")
    assert lines[0] == (
        "logistic_regression: 2 of 5 questions pass their visible tests, 4 of 10 points."
    )
    assert lines[1:3] == [f"pass  q{n}  2 of 2 points: 2 of 2 visible tests pass." for n in (1, 2)]
    assert lines[3] == "FAIL  q3  0 of 2 points: 0 of 2 visible tests pass."
    assert lines[4] == "FAIL  q4  0 of 2 points: not answered yet."
    assert lines[5].startswith("FAIL  q5  0 of 2 points: `smallest_margin` is not defined yet")
    assert lines[6] == "The hidden tests decide about 13 points more."


def test_what_an_earlier_release_handed_out_still_checks():
    """Without signatures, points and what a grader withholds."""
    wanted = homework()
    source = release.checks_source(wanted)
    source = re.sub(r"    grader=.*\n", "", source)
    source = re.sub(r"(\w+)\([\w, ]+\)'(?=[\],])", r"\1'", source)
    assert "'gradient'" in source
    namespace = {}
    for text in (source, wanted.setup, wanted.question("q1").solution, "def gradient(X): pass"):
        exec(text, namespace)
    check = namespace["check"]
    assert check("q1").is_passed
    assert "The question asks for other arguments" in repr(check("q2"))
    assert "1 of 5 questions" in repr(check())


def test_what_is_not_there_is_called_so():
    starter = homework().question("q1").starter
    assert repr(opened("logistic_regression", starter)("q1")) == "q1: not answered yet."
    assert "`log_likelihood` is not defined yet. Run the cell" in repr(
        opened("logistic_regression")("q1")
    )
    with pytest.raises(ValueError, match="must be one of q1, q2, q3, q4, q5, got 'q6'"):
        opened("logistic_regression")("q6")
    assert 'check("q1")' in repr(opened("logistic_regression"))
    assert not Feedback("q1", (), "not answered yet.").is_passed


@pytest.mark.bad_input
@pytest.mark.parametrize("asked", [["q1", "q2"], 1, np.zeros(2)])
def test_what_is_no_name_of_a_question_is_refused_in_words(asked):
    with pytest.raises(ValueError, match="must be one of q1, q2, q3, q4, q5, got "):
        opened("logistic_regression")(asked)


def test_the_checks_survive_what_students_do_to_names():
    solution = homework().question("q1").solution
    check = opened("logistic_regression", solution, "expect = test = None\nattempt = 3")
    assert check("q1").is_passed


def test_arguments_go_by_value():
    def spoil(x):
        x += 1
        return x.sum()

    mine = InProcess({"spoil": spoil, "number": 3})
    x = np.zeros(2)
    assert mine.spoil(x) == 2
    assert mine.spoil.with_args(x)[1][0].tolist() == [1, 1]
    assert x.tolist() == [0, 0]
    with pytest.raises(NotDefined, match="`number` is not defined yet"):
        mine.number  # noqa: B018


def test_calls_are_kept_and_can_be_replayed():
    def root(x):
        return x**0.5 if x >= 0 else [][0]

    def holds(student):
        student.root(4.0)
        student.root.with_args(9.0)
        student.root(-1.0)

    error, calls = attempt(holds, InProcess({"root": root}))
    assert isinstance(error, IndexError)
    assert [(call.result, call.error) for call in calls] == [
        (2.0, None),
        ((3.0, (9.0,)), None),
        (None, "IndexError"),
    ]
    again = replay(calls, {"root": root})
    other = replay(calls, {"root": lambda x: x / 2})
    assert all(mine.is_like(first) for mine, first in zip(again, calls, strict=True))
    assert [mine.is_like(first) for mine, first in zip(other, calls, strict=True)] == [1, 0, 0]
    assert Recorder(InProcess({})).calls == []


EQUAL = [
    (1, 1.0),
    (np.float64(2.0), 2.0),
    ([1.0, 2.0], np.array([1.0, 2.0])),
    (True, np.bool_(True)),
    (1 + 1e-9, 1.0),
    (np.float32(0.1), np.float32(0.1)),
    (np.inf, np.inf),
    (np.nan, np.nan),
    ([1.0, -np.inf, np.nan], np.array([1 + 1e-9, -np.inf, np.nan])),
    (2**63 - 1, 2**63 - 1),
    (np.uint8(3), 3),
    (np.float16(60_000), 60_000.0),
    (1 + 1e-9j, 1 + 0j),
    (complex(np.inf, 0), complex(np.inf, 0)),
    ("up", "up"),
    (None, None),
    ((1.0, [1.0, 2.0]), (1.0, np.array([1.0, 2.0]))),
    ({"a": [1.0]}, {"a": np.ones(1)}),
]
DIFFERENT = [
    (np.array([1.0]), 1.0),
    (np.ones((2, 1)), np.ones(2)),
    (np.nan, 1.0),
    (1.0, np.nan),
    (np.inf, np.nan),
    (1.0, np.inf),
    (1e308, np.inf),
    (-np.inf, np.inf),
    (np.inf, -1e308),
    ([np.inf, 5.0], [np.inf, np.inf]),
    (-(2**63), 2**63 - 1),  # their difference is 1 in 64 bits
    (np.int64(-(2**63)), np.int64(0)),  # whose absolute value is below zero in 64 bits
    (np.uint8(255), np.uint8(0)),
    (np.array([0], dtype=np.uint64), np.array([2**64 - 1], dtype=np.uint64)),
    (1 + 1e-3j, 1 + 0j),
    ("up", "down"),
    (b"up", "up"),
    (np.inf, None),
    ((1.0, [1.0, 2.0]), (1.0, [1.0, 3.0])),
    ((1.0, [1.0, 2.0]), (1.0, [1.0, 2.0], 3.0)),
    ({"a": 1.0}, {"a": 1.0, "b": 2.0}),
    ([("a", "b")], {"a": "b"}),
    (None, 1.0),
    ("1.0", 1.0),
    (1.0, True),
    (1, True),
    (1j, 1.0),
    ([[1.0], [1.0, 2.0]], 1.0),
    (10**400, 1.0),
    (1 + 1e-5, 1.0),
    (np.inf, 1.0),
    ({}, 1.0),
]


@pytest.mark.parametrize(("got", "expected"), EQUAL)
def test_right_results_pass(got, expected):
    expect(got, expected, "it")
    assert same(got, expected)


@pytest.mark.parametrize(("got", "expected"), DIFFERENT)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_wrong_results_do_not(got, expected):
    with pytest.raises(Mismatch, match="^it: expected"):
        expect(got, expected, "it")


@given(arrays.arrays(float, st.integers(1, 5), elements=st.floats(-1e6, 1e6)), st.integers(0, 4))
def test_one_changed_entry_is_seen(expected, place):
    got = expected.copy()
    expect(got, expected, "it")
    place %= len(got)
    got[place] += 1e-3 + 1e-3 * abs(got[place])
    with pytest.raises(Mismatch):
        expect(got, expected, "it")


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_are_compared_without_overflow(got, expected):
    numbers = np.int64(got), np.int64(expected)
    assert same(*numbers, rtol=0, atol=0) == (got == expected)
    assert same(*numbers, rtol=0, atol=10) == (abs(got - expected) <= 10)


def test_a_tolerance_of_zero_tells_neighbours_apart():
    assert not same(2**60, 2**60 + 1, rtol=0, atol=0)
    assert same(2**60, 2**60 + 1)


def test_values_are_shown_as_a_reader_wants_them():
    assert shown(-0.0) == "0"
    assert shown(1 / 3) == "0.333333"
    assert shown(np.array([1.0, -0.25])) == "[1.0, -0.25]"
    assert shown(np.zeros((2, 2))) == "[[0.0, 0.0], [0.0, 0.0]], shape (2, 2)"
    assert shown(np.arange(30.0)).startswith("an array of shape (30,) that begins with [0.0, 1.0")
    assert shown(None) == "nothing: None"
    assert shown("a" * 1000) == "str: " + "a" * 300
    assert "different lengths" in shown([[1], [1, 2]])


def test_same_is_for_wrong_answers_too():
    assert same(np.nan, np.nan)
    assert same(None, None)
    assert not same(None, 0.0)
    assert same("a", "a")
    assert not same("a", "b")
    assert not same(np.inf, 1.0)
    assert not same([[1], [1, 2]], 1.0)


def test_checks_need_no_more_than_numpy():
    script = (
        "import sys, dlcourse.grading.check;"
        "print(sorted({'scipy','nbformat','jinja2','IPython','tqdm'} & {*sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


IN_NOTEBOOK = {
    "exception": (
        "%precision 4\ndef gradient(X, y, beta):\n    n = len(y)\n    return X @ y / n",
        "in the cell of `gradient`, line 4:  return X @ y / n",
    ),
    "endless loop": (
        "def gradient(X, y, beta):\n    while True:\n        n = 1",
        r"stopped after 0\.5 seconds\s+in the cell of `gradient`, line [23]:  (while True:|n = 1)",
    ),
    "loop that swallows": (
        "def gradient(X, y, beta):\n    while True:\n        try:\n            sum(range(99))\n"
        "        except:\n            pass",
        r"stopped after 0\.5 seconds\s+in the cell of `gradient`, line [2-6]: ",
    ),
}


def cells_for(source):
    quick = "import dlcourse.grading.check\ndlcourse.grading.check.LIMIT_SECONDS = 0.5"
    return [release.checks_source(homework()), homework().setup, quick, source]


@pytest.mark.parametrize(("source", "words"), IN_NOTEBOOK.values(), ids=IN_NOTEBOOK)
def test_in_a_kernel_the_line_is_shown_with_its_text_and_loops_end(source, words):
    cells = [new_code_cell(text) for text in (*cells_for(source), 'check("q2")', "check()")]
    ran = NotebookClient(new_notebook(cells=cells), timeout=None).execute()
    about_q2, about_all = (cell.outputs[0]["data"]["text/plain"] for cell in ran.cells[-2:])
    assert re.search(words, about_q2) or words in about_q2
    assert "FAIL  q2  0 of 2 points: 0 of 2 visible tests pass." in about_all
    assert "0 of 5 questions pass" in about_all


@pytest.mark.parametrize(("source", "words"), IN_NOTEBOOK.values(), ids=IN_NOTEBOOK)
def test_no_kernel_is_needed_but_what_ipython_brings(source, words, tmp_path):
    """As on a hosted service with a kernel of its own."""
    script = (
        "import sys; sys.modules['ipykernel'] = None\n"
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        f"shell = Shell.instance()\nfor cell in {cells_for(source)!r}:\n"
        "    assert shell.run_cell(cell, store_history=True).success\n"
        "shell.run_cell('print(check(\"q2\"))')"
    )
    home = {"IPYTHONDIR": str(tmp_path), "MPLBACKEND": "agg"}
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | home
    )
    assert run.returncode == 0, run.stderr
    assert re.search(words, run.stdout) or words in run.stdout
