"""The masters themselves: they run, their tests hold, and their outputs are those stored."""

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from dlcourse.grading.recording import TESTS_USE, InProcess, attempt, namespace_of
from tests.library.grading.samples import HOMEWORK, NAMES, hidden_tests, homework

TESTS = hidden_tests()


def said(notebook):
    """What each cell wrote to each stream, in however many pieces that came; and nothing else."""
    cells = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert {output.output_type for outputs in cells for output in outputs} == {"stream"}
    streams = [{output.name: "" for output in outputs} for outputs in cells]
    for outputs, texts in zip(cells, streams, strict=True):
        for output in outputs:
            texts[output.name] += output.text
    return streams


@pytest.mark.parametrize("name", NAMES)
def test_a_master_runs_and_shows_what_is_stored(name):
    path = HOMEWORK / name / "master.ipynb"
    stored, ran = (nbformat.read(path, as_version=4) for _ in range(2))
    nbformat.validate(stored)
    NotebookClient(ran, timeout=None).execute()
    shown, again = said(stored), said(ran)
    assert shown == again
    shown = "".join(text for streams in shown for text in streams.values())
    assert shown.count(" holds, worth ") == sum(len(q.tests) for q in homework(name).questions)


@pytest.mark.parametrize(
    ("name", "question", "test"), TESTS, ids=lambda v: getattr(v, "name", getattr(v, "id", v))
)
def test_a_hidden_test_holds_for_the_solution_whatever_it_draws(name, question, test):
    wanted = homework(name)
    function = namespace_of(TESTS_USE, wanted.setup, wanted.oracle, test.source)[test.name]
    solution = InProcess(namespace_of(wanted.setup, question.solution))
    for seed in range(100):
        error, calls = attempt(function, solution, np.random.default_rng(seed))
        assert error is None, f"seed {seed}: {error!r}"
        assert calls


@pytest.mark.parametrize("name", NAMES)
def test_every_question_has_points_tests_and_mistakes(name):
    wanted = homework(name)
    assert 4 <= len(wanted.questions) <= 5
    assert len({function for function in wanted.functions}) == len(wanted.functions)
    for question in wanted.questions:
        assert len(question.mistakes) >= 5
        assert sum(test.is_hidden for test in question.tests) >= 1
        assert len({mistake.hint for mistake in question.mistakes}) == len(question.mistakes)
        assert question.title in "\n".join(piece.text for piece in wanted.pieces)
