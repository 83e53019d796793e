"""Honest work under load: whatever else the machine does, no right answer loses a point."""

import multiprocessing

import pytest

from dlcourse.grading.marking.grade import grade
from dlcourse.grading.sandbox.execution import Executor
from tests.library.grading.samples import NAMES, homework, submission

N_GRADINGS = 1_000


def burn():
    while True:
        sum(range(100_000))


@pytest.fixture
def load():
    context = multiprocessing.get_context("spawn")
    burners = [context.Process(target=burn, daemon=True) for _ in range(2)]
    for burner in burners:
        burner.start()
    yield
    for burner in burners:
        burner.kill()
        burner.join()


def test_a_thousand_right_answers_get_their_points_under_load(load):
    asked = [(homework(name), question) for name in NAMES for question in homework(name).questions]
    failures = []
    with Executor(isolation="untrusted marks") as executor:
        for i in range(N_GRADINGS):
            wanted, question = asked[i % len(asked)]
            data = submission(wanted, note=str(i))  # so that each has hidden inputs of its own
            result = grade(wanted, data, executor, only=(question.id,))
            if result.earned != question.points:
                failures.append((i, result))
    assert not failures
