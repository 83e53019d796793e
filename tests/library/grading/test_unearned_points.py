"""Hidden tests give nothing to who computes nothing: constants, memorized answers, arguments."""

import copy

import numpy as np
import pytest

from dlcourse.grading.recording import TESTS_USE, InProcess, attempt, namespace_of
from tests.library.grading.samples import NAMES, hidden_tests, homework

N_SEEDS = 8
HIDDEN = hidden_tests()
IDS = [f"{name} {question.id} {test.name}" for name, question, test in HIDDEN]
FILLINGS = (0.0, 1.0, -1.0, 0.5, np.nan, np.inf, -np.inf)


def hidden_test(name, test):
    wanted = homework(name)
    return namespace_of(TESTS_USE, wanted.setup, wanted.oracle, test.source)[test.name]


def solution(name, question):
    return namespace_of(homework(name).setup, question.solution)


def calls_of(name, question, test, *rng):
    error, calls = attempt(hidden_test(name, test), InProcess(solution(name, question)), *rng)
    assert error is None
    return calls


def visible_calls(name, question):
    return [c for t in question.tests if not t.is_hidden for c in calls_of(name, question, t)]


def student(functions, answer):
    """Whoever answers each call by `answer(right, *arguments)`, where `right` gives the shape."""

    def cheat(function):
        return lambda *args: answer(function(*copy.deepcopy(args)), *args)

    return InProcess({name: cheat(function) for name, function in functions.items()})


def passes(name, test, cheat, seed):
    with np.errstate(all="ignore"):
        error, calls = attempt(hidden_test(name, test), cheat, np.random.default_rng(seed))
    assert calls
    return error is None


def functions_of(name, question):
    space = solution(name, question)
    return {function: space[function] for function in question.functions}


def without_computing(right, *args):
    """Answers of the right shape that need no thought."""
    shape = np.shape(right)
    yield from (np.full(shape, filling)[()] for filling in FILLINGS)
    for arg in args:
        if np.size(arg) and np.asarray(arg).dtype.kind in "iuf":
            yield arg
            yield np.resize(np.asarray(arg, dtype=float), shape)[()]
            yield -np.resize(np.asarray(arg, dtype=float), shape)[()]
            if np.ndim(right) == 2 and np.shape(arg) == shape[1:]:
                yield np.tile(arg, (shape[0], 1))  # a path that stays where it begins
    yield from (np.sum(arg) for arg in args if np.ndim(arg))


@pytest.mark.parametrize(("name", "question", "test"), HIDDEN, ids=IDS)
def test_constants_and_arguments_pass_no_hidden_test(name, question, test):
    functions = functions_of(name, question)
    (call, *_) = calls_of(name, question, test, np.random.default_rng(0))
    right = call.result[0] if call.returns_args else call.result
    n_ways = len([*without_computing(right, *call.args)])
    assert n_ways > len(FILLINGS)
    for way in range(n_ways):

        def thoughtless(right, *args, way=way):
            return [*without_computing(right, *args)][way]

        cheat = student(functions, thoughtless)
        passed = [seed for seed in range(N_SEEDS) if passes(name, test, cheat, seed)]
        assert not passed, f"way {way}"


@pytest.mark.parametrize(("name", "question", "test"), HIDDEN, ids=IDS)
def test_visible_answers_learned_by_heart_pass_no_hidden_test(name, question, test):
    functions = functions_of(name, question)
    known = visible_calls(name, question)
    assert known
    for call in known:

        def by_heart(right, *_, answer=call.result):
            return answer

        def by_heart_in_shape(right, *_, answer=call.result):
            return np.resize(answer, np.shape(right))[()]

        for answer in (by_heart, by_heart_in_shape):
            cheat = student(functions, answer)
            assert not any(passes(name, test, cheat, seed) for seed in range(N_SEEDS))


@pytest.mark.parametrize(("name", "question", "test"), HIDDEN, ids=IDS)
def test_the_answers_of_one_draw_pass_no_other(name, question, test):
    functions = functions_of(name, question)
    for seed in range(N_SEEDS):
        calls = calls_of(name, question, test, np.random.default_rng(seed + 1000))
        learned = iter([c.result[0] if c.returns_args else c.result for c in calls])
        cheat = student(functions, lambda right, *_, answers=learned: next(answers, right * 0))
        assert not passes(name, test, cheat, seed)


@pytest.mark.parametrize(
    ("name", "id"), [(name, question.id) for name in NAMES for question in homework(name).questions]
)
def test_every_argument_decides_about_hidden_points(name, id):
    """Whoever ignores an argument, and takes a value that it had once, loses a hidden test."""
    question = homework(name).question(id)
    tests = [test for test in question.tests if test.is_hidden]
    (function_name,) = question.functions
    function = solution(name, question)[function_name]
    before = calls_of(name, question, tests[0], np.random.default_rng(99))[0].args
    for place, seen in enumerate(before):

        def ignores(*args, place=place, seen=seen):
            args = [copy.deepcopy(arg) for arg in args]
            if np.shape(seen) == np.shape(args[place]):
                args[place] = copy.deepcopy(seen)
            return function(*args)

        cheat = InProcess({function_name: ignores})
        lost = [not passes(name, test, cheat, seed) for test in tests for seed in range(N_SEEDS)]
        assert sum(lost) >= N_SEEDS / 2, f"argument {place}"
