"""`make check CHAPTER=...` finds what holds a chapter, and nothing of another."""

import pytest

from tests import ROOT
from tools import one_chapter, proofs, statements


def test_a_chapter_is_held_by_its_notebook_its_folder_and_the_form_of_its_text():
    found = one_chapter.arguments("adam")
    assert found[:2] == ["book/adam.ipynb", "tests/chapters/adam"]
    assert {"tests/book/test_statements.py", "tests/book/test_figure_claims.py"} <= set(found)
    assert all((ROOT / name.partition("::")[0]).exists() for name in found)


@pytest.mark.parametrize("stem", ["gradient_descent", "hardware"])
def test_every_proof_of_a_chapter_is_run_wherever_it_stands(stem):
    found = one_chapter.arguments(stem)
    labels = {statement.label for statement in statements.read(ROOT)[f"book/{stem}.ipynb"]}
    for marker in proofs.markers(ROOT):
        is_run = marker.test in found or marker.test.startswith(f"tests/chapters/{stem}")
        assert is_run or not labels & set(marker.labels)


def test_a_chapter_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(SystemExit, match=r"must be one of adam, .* got 'adan'"):
        one_chapter.arguments("adan")
