"""Marks: full for the reference, exact for the partly right, the same every time, and silent."""

import contextlib
import json
import random
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from dlcourse.grading.marking import grade as room
from dlcourse.grading.marking.grade import NotGraded, grade
from dlcourse.grading.marking.results import Result
from dlcourse.grading.sandbox.execution import Executor, Limits
from dlcourse.grading.sandbox.failures import CallTimeout, SandboxUnavailable
from tests.library.grading.samples import (
    NAMES,
    all_empty,
    from_cells,
    homework,
    mistake,
    notebook,
    submission,
)

QUICK = Limits(call_cpu_seconds=0.5, notebook_cpu_seconds=3.0)


@pytest.fixture(scope="module")
def executor():
    with Executor(QUICK, isolation="untrusted marks") as executor:
        yield executor


def failed(result):
    return [t.name for question in result.questions for t in question.tests if not t.is_passed]


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_gets_full_marks(executor, name):
    result = grade(homework(name), submission(homework(name)), executor)
    assert (result.status, failed(result)) == ("ok", [])
    assert result.earned == result.points == homework(name).points


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_homework_gets_nothing_and_says_why(executor, name):
    wanted = homework(name)
    result = grade(wanted, submission(wanted, all_empty(wanted)), executor)
    assert result.earned == 0
    tests = [test for question in result.questions for test in question.tests]
    assert {test.hint for test in tests} == {"This question is not answered."}


# Points left, worked out by hand from what each mistake computes.
PARTLY_RIGHT = {
    "logistic_regression": [
        ({"q1": "turned sign"}, 19),
        ({"q1": "logarithm of zero"}, 22),
        ({"q1": "classes swapped", "q2": "turned sign"}, 15),
        ({"q3": "diagonal only"}, 20),
        ({"q3": "step without the point", "q4": "one array for all rows"}, 16),
        ({"q4": "start left out", "q5": "side ignored"}, 17),
        ({"q1": "empty", "q5": "empty"}, 15),
        ({"q1": "outcome not turned into a sign", "q4": "up the loss"}, 16),
    ],
    "optimizers": [
        ({"q1": "center forgotten"}, 19),
        ({"q1": "entry times entry"}, 19),
        ({"q2": "new gradient dampened", "q3": "gradient where it stands"}, 16),
        ({"q3": "last point never renewed"}, 20),
        ({"q4": "last batch dropped", "q5": "averages not corrected"}, 15),
        ({"q4": "order ignored"}, 19),
        ({"q5": "epsilon inside of the root"}, 19),
        ({"q1": "start changed in place", "q2": "empty", "q5": "root forgotten"}, 10),
    ],
}
CASES = [(name, *case) for name in NAMES for case in PARTLY_RIGHT[name]]


@pytest.mark.parametrize(("name", "answers", "points"), CASES)
def test_partly_right_gets_exactly_its_points(executor, name, answers, points):
    result = grade(homework(name), submission(homework(name), answers), executor)
    assert result.earned == points


def test_there_are_sixteen_of_them():
    assert len(CASES) == 16


MISTAKES = [
    (name, question.id, mistake.name)
    for name in NAMES
    for question in homework(name).questions
    for mistake in question.mistakes
]


@pytest.mark.parametrize(("name", "id", "made"), MISTAKES)
def test_every_mistake_is_caught_and_named(executor, name, id, made):
    wanted = homework(name)
    question = wanted.question(id)
    assert len(question.mistakes) >= 5
    result = grade(wanted, submission(wanted, {id: made}), executor, only=(id,))
    ((graded),) = result.questions
    missed = [test for test in graded.tests if not test.is_passed]
    assert missed
    assert any(test.is_hidden for test in missed)
    assert {test.mistake for test in missed} == {made}
    assert {test.hint for test in missed} == {mistake(question, made).hint}


def test_the_same_submission_always_gets_the_same_result(executor):
    wanted = homework()
    data = submission(wanted, {"q2": "first term only", "q4": "empty"})
    first, second = (grade(wanted, data, executor) for _ in range(2))
    assert first == second
    assert Result.from_json(first.to_json()) == first


def test_hidden_inputs_differ_between_submissions_and_not_between_runs(monkeypatch, executor):
    seen = []
    monkeypatch.setattr(
        room.np.random,
        "default_rng",
        lambda key: seen.append(tuple(key)) or np.random.Generator(np.random.PCG64(list(key))),
    )
    wanted = homework()
    for note, secret in (("", b"a"), ("", b"a"), ("other", b"a"), ("", b"b")):
        grade(wanted, submission(wanted, note=note), executor, secret=secret)
    n = len(seen) // 4
    assert n == 10
    assert seen[:n] == seen[n : 2 * n]
    assert len(set(seen)) == 3 * n  # nor are they those of a course with another secret


def test_recorded_answers_are_worth_nothing(executor):
    """Whoever knew every hidden input of one submission could still not hand in the answers."""
    wanted = homework()
    spy = notebook(wanted)
    answers = next(cell for cell in spy["cells"] if cell["id"] == "answer-q2")
    answers["source"] += "\nhonest, seen = gradient, {}\n"
    answers["source"] += "def gradient(X, y, beta):\n    return seen[X.tobytes()]\n"
    recorded = "seen.update({np.ones((4, 1)).tobytes(): np.array([-1.0])})\n"
    answers["source"] += recorded
    result = grade(wanted, json.dumps(spy).encode(), executor, only=("q2",))
    assert failed(result) == ["at_zero", "agrees_with_the_loss", "is_the_slope"]


def test_a_failed_hidden_test_says_nothing_of_its_inputs(executor):
    wanted = homework()
    spy = (
        "def gradient(X, y, beta):\n"
        "    print('INPUT', X)\n"
        "    raise type('SEEN' + str(X[0, -1]), (Exception,), {})('INPUT ' + str(X))"
    )
    result = grade(wanted, from_cells(wanted.setup, spy), executor)
    asked = {test.name: test for test in wanted.question("q2").tests}
    for test in result.questions[1].tests:
        told = " ".join([*test.lines, test.hint, test.claim])
        assert ("INPUT" in told and "SEEN" in told) != test.is_hidden
        if test.is_hidden:
            assert (test.lines, test.claim) == ((), "")
            assert test.hint == f"Your function raised an exception. {asked[test.name].hint}"
    assert not any(cell.stdout for cell in result.cells)


def test_all_visible_tests_come_before_the_first_hidden_one(executor):
    """Else a function could keep hidden inputs and show them in a later visible test."""
    wanted = homework()
    keep = (
        "kept = []\n"
        "def log_likelihood(X, y, beta):\n    kept.append(X)\n    return 0.0\n"
        "def smallest_margin(X, y, beta):\n    raise ValueError(f'{len(kept)} kept')\n"
    )
    result = grade(wanted, from_cells(wanted.setup, keep), executor)
    margin = next(q for q in result.questions if q.id == "q5")
    assert [line for t in margin.tests for line in t.lines] == [
        "ValueError: 2 kept (cell 2, line 6)",
        "ValueError: 2 kept (cell 2, line 6)",
    ]


def test_an_endless_loop_costs_its_own_question_only(executor):
    wanted = homework()
    cells = notebook(wanted)
    for cell in cells["cells"]:
        if cell["id"] == "answer-q2":
            cell["source"] = "def gradient(X, y, beta):\n    while True:\n        pass"
    result = grade(wanted, json.dumps(cells).encode(), executor)
    assert [question.earned for question in result.questions] == [4, 0, 5, 5, 4]
    assert "did not come back in time" in result.questions[1].tests[0].hint


def test_cells_that_fail_cost_only_what_they_define(executor):
    wanted = homework()
    solutions = [question.solution for question in wanted.questions]
    cells = [wanted.setup, "def broken(:", solutions[0], "1 / 0", "open('data.csv')", solutions[4]]
    result = grade(wanted, from_cells(*cells), executor)
    assert [question.earned for question in result.questions] == [4, 0, 0, 0, 4]
    assert [cell.error.partition(":")[0] for cell in result.cells] == [
        "",
        "SyntaxError",
        "",
        "ZeroDivisionError",
        "FileNotFoundError",
        "",
    ]
    assert "`gradient` is not defined" in result.questions[1].tests[0].hint


def test_the_last_definition_counts_and_output_is_kept(executor):
    wanted = homework()
    wrong = "def gradient(X, y, beta):\n    return None\nprint('first', 1 + 1)"
    data = from_cells(wanted.setup, wrong, wanted.question("q2").solution, "'shown'")
    result = grade(wanted, data, executor, only=("q2",))
    assert result.earned == 5
    assert [cell.stdout for cell in result.cells] == ["", "first 2\n", "", "'shown'\n"]


def test_imports_of_what_answers_a_question_are_flagged_not_refused(executor):
    wanted = homework()
    cheat = (
        "from dlcourse.losses import LogisticLoss\n"
        "def gradient(X, y, beta):\n    return -len(y) * LogisticLoss(X, y)(beta)[1]"
    )
    result = grade(wanted, from_cells(wanted.setup, cheat), executor, only=("q2",))
    assert (result.earned, result.flags) == (5, ("dlcourse.losses",))
    assert grade(wanted, submission(wanted), executor).flags == ()


def test_what_is_no_notebook_gets_no_points_and_its_verdict(executor):
    result = grade(homework(), b"{", executor)
    assert (result.status, result.earned, result.points) == ("not a notebook", 0, 23)
    assert "not JSON" in result.message
    assert Result.from_json(result.to_json()) == result


class Fails:
    """An executor whose machine fails the first `n_failures` times."""

    def __init__(self, executor, n_failures, error):
        self.executor, self.left, self.error = executor, n_failures, error

    def run(self, *args, **kwargs):
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return self.executor.run(*args, **kwargs)


@pytest.mark.parametrize("error", [SandboxUnavailable("no fork"), OSError("no pipe"), EOFError()])
def test_a_machine_that_fails_once_changes_no_mark(executor, error):
    wanted = homework()
    data = submission(wanted, {"q1": "turned sign"})
    assert grade(wanted, data, Fails(executor, 1, error)) == grade(wanted, data, executor)
    with pytest.raises(NotGraded, match="failed twice"):
        grade(wanted, data, Fails(executor, 2, error))


def test_waiting_too_long_is_final_for_the_machines_part_of_it_is_taken_off(monkeypatch, executor):
    wanted, starts = homework(), []
    real, slow = room.attempt, [CallTimeout("`f` took more than 30 seconds of waiting.")]

    def attempt(*args):
        return (slow.pop(), []) if slow else real(*args)

    class Counts(Fails):
        def run(self, *args, **kwargs):
            starts.append(1)
            return self.executor.run(*args, **kwargs)

    monkeypatch.setattr(room, "attempt", attempt)
    result = grade(wanted, submission(wanted), Counts(executor, 0, None))
    assert (result.earned, len(starts)) == (22, 1)


def test_only_what_the_first_run_showed_is_reported(monkeypatch, executor):
    """A second one may know hidden inputs of the first, which it could print."""
    wanted, runs = homework(), []
    data = from_cells(wanted.setup, wanted.question("q2").solution, "print('run')")
    real, broken = room.attempt, [OSError("no pipe"), OSError("no pipe")]

    class Shows(Fails):
        @contextlib.contextmanager
        def run(self, *args, **kwargs):
            with self.executor.run(*args, **kwargs) as student:
                runs.append(len(runs) + 1)
                shown = replace(student.outcomes[2], stdout=f"run {runs[-1]}")
                student.outcomes = (*student.outcomes[:2], shown)
                yield student

    def attempt(test, student, *rng):
        return (broken.pop(), []) if rng and broken else real(test, student, *rng)

    monkeypatch.setattr(room, "attempt", attempt)
    seen = []
    with pytest.raises(NotGraded):
        grade(wanted, data, Shows(executor, 0, None), ("q2",), seen=seen)
    result = grade(wanted, data, Shows(executor, 0, None), ("q2",), seen=seen)
    assert (result.earned, runs) == (5, [1, 2, 3])
    assert [cell.stdout for cell in result.cells] == ["", "", "run 1"]


def generated(rng):
    """One random hand-in: a real one with damage, or random cells, bytes, nesting and sizes."""
    wanted = homework(rng.choice(NAMES))
    kind = rng.randrange(6)
    if kind == 0:
        return wanted, rng.randbytes(rng.randrange(2_000))
    if kind == 1:
        data = bytearray(submission(wanted))
        for _ in range(rng.randrange(1, 40)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return wanted, bytes(data)
    if kind == 2:
        return wanted, submission(wanted)[: rng.randrange(20_000)]
    if kind == 3:
        depth = rng.randrange(1, 3_000)
        opening, closing = rng.choice([("[", "]"), ('{"cells":', "}")])
        return wanted, (opening * depth + "1" + closing * depth).encode()
    names = [*wanted.functions, "np", "check", "print", "__builtins__"]
    values = ["None", "1e400", "[[]]", "'x' * 9", "lambda *a: a", "lambda *a: [a]", "object()"]
    lines = ["{n} = {v}", "def {n}(*a, **k): return {v}", "{n}()", "del {n}", "raise {n}", "%{n}"]
    lines += ["class {n}: pass", "print({v})", "\x00{n}", "\ud8ff", "é = {v}", "while {n}:"]
    cells = [
        "\n".join(
            rng.choice(lines).format(n=rng.choice(names), v=rng.choice(values))
            for _ in range(rng.randrange(5))
        )
        for _ in range(rng.randrange(12))
    ]
    return wanted, from_cells(wanted.setup, *cells, homework=wanted.name)


def test_three_hundred_generated_hand_ins_stop_nothing(executor):
    rng, statuses = random.Random(0), []
    for _ in range(300):
        wanted, data = generated(rng)
        result = grade(wanted, data, executor)
        assert 0 <= result.earned <= result.points == wanted.points
        assert Result.from_json(result.to_json()) == result
        statuses.append(result.status)
    assert statuses.count("ok") > 90
    assert statuses.count("not a notebook") > 90


HOSTILE = {
    "a list that NumPy would blow up": "return ['x' * 10**6] + [''] * 50_000",
    "a list of texts": "return ['1.0', '2.0']",
    "a dict": "return {'a': 1.0}",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_no_returned_text_becomes_an_array_in_the_grader(executor, body):
    wanted = homework()
    cells = notebook(wanted)
    for cell in cells["cells"]:
        if cell["id"] == "answer-q2":
            cell["source"] = f"def gradient(X, y, beta):\n    {body}"
    tracemalloc.start()
    result = grade(wanted, json.dumps(cells).encode(), executor, only=("q2",))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.questions[0].earned == 0
    assert peak < 200e6


def test_output_is_limited_over_all_cells(executor):
    wanted = homework()
    cells = notebook(wanted)
    answers = cells["cells"]
    forge = (
        "import dlcourse.grading.sandbox.inside.cells as inside\n"
        "old = inside.Notebook.run_cell\n"
        "def flood(self, index, source):\n"
        "    return old(self, index, source) | {'stdout': 'x' * 150_000}\n"
        "inside.Notebook.run_cell = flood\n"
    )
    answers.append({**answers[-1], "id": "forge", "cell_type": "code", "source": forge})
    answers += [{**answers[-1], "id": f"more-{i}", "source": "pass"} for i in range(30)]
    result = grade(wanted, json.dumps(cells).encode(), executor, only=("q1",))
    shown = sum(len(cell.stdout) for cell in result.cells)
    assert 100_000 < shown < 1.1 * QUICK.output_bytes
