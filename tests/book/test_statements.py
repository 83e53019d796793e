"""Every statement of the book has a label and a test that proves it; every proof a statement."""

import difflib

import pytest

from tests import ROOT
from tools import proofs, statements

BOOK = statements.read(ROOT)
MARKERS = list(proofs.markers(ROOT))
LABELS = {statement.label for page in BOOK.values() for statement in page if statement.label}
every_page = pytest.mark.parametrize("page", BOOK)


def fail_with(faults):
    """Fail with the sentences and nothing else, if there are any."""
    message = "\n".join(faults)
    if message:
        pytest.fail(message, pytrace=False)


def nearest(label):
    return ", ".join(f"`{near}`" for near in difflib.get_close_matches(label, LABELS, cutoff=0))


@every_page
def test_every_statement_has_a_label_of_its_own(page):
    fail_with(statements.faults_of_labels(BOOK)[page])


@every_page
def test_every_statement_is_proved_by_a_test(page):
    proved = {label for marker in MARKERS for label in marker.labels}
    fail_with(
        f"{page}: no test proves the {statement.kind} `{statement.label}`. Cure: mark the test "
        f'that does with @pytest.mark.proves("{statement.label}", by="...").'
        for statement in BOOK[page]
        if statement.label and statement.label not in proved
    )


def test_every_proof_is_of_something_that_the_book_states():
    fail_with(
        f"{marker.test} proves `{label}`, which no page of the book states. Cure: state it, or "
        f"correct the marker; the nearest labels are {nearest(label)}."
        for marker in MARKERS
        for label in marker.labels
        if label not in LABELS
    )


def test_every_proof_says_how_it_proves():
    known = ", ".join(f'"{way}"' for way in proofs.WAYS)
    fail_with(
        f"{marker.test} proves {', '.join(marker.labels)} by {marker.way!r}. Cure: write "
        f"by=..., one of {known}."
        for marker in MARKERS
        if marker.way not in proofs.WAYS
    )
