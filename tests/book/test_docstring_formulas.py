"""What docstrings display is evaluated or sealed, or it is an equation that the book displays."""

import pytest

from tests import ROOT
from tools import proofs, seals, statements
from tools.formula.docstrings import DISPLAYED, docstrings, documented, repeated


def faults(root):
    """Sentences on displays of docstrings that nothing ties to a test or to a page."""
    shown = documented(root).keys()
    sealed = {label for label in seals.displays(root)["sealed"] if "." in label}
    evaluated = {label for label, _ in proofs.evaluating(root) if "." in label}
    for label in sorted(shown - evaluated - sealed):
        yield (
            f"The docstring of {label} displays a formula that no test evaluates. Cure: show the "
            f'book\'s, `.. displayed:: eq-name`, or `assert displayed("{label}").holds(...)` in a '
            f"test, or seal it in {seals.DISPLAYS}."
        )
    for label in sorted(sealed & evaluated | sealed - shown):
        yield f"{seals.DISPLAYS} seals {label}, which is evaluated or not there: take it out."
    book = statements.equations(root).keys()
    for name, labels in repeated(root).items():
        for label in sorted(set(labels) - book):
            yield f"The docstring of {name} shows `{label}`, which no page of the book displays."


def overlooked(root):
    """How many directives of the package stand outside of the docstrings that are read."""
    source = "".join(path.read_text("utf-8") for path in (root / "dlcourse").rglob("*.py"))
    n_read = len(documented(root))
    n_read += sum(len(DISPLAYED.findall(text)) for _, text in docstrings(root))
    return source.count(".. math::") + source.count(".. displayed::") - n_read


def test_every_display_of_a_docstring_is_evaluated_or_sealed_or_the_book_s():
    found = list(faults(ROOT))
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_no_directive_is_overlooked():
    assert overlooked(ROOT) == 0


MODULE = '''\
r"""A module.

.. math:: a = b
"""

class Sum:
    r"""A sum.

    .. displayed:: eq-sum, eq-some
    """

    def total(self):
        r"""Two displays.

        .. math:: x
            = y

        .. math:: y = z
        """
'''
TEST = """\
def test_the_sum(displayed):
    assert displayed("dlcourse.sums.Sum.total").holds({"x": 1, "y": 1})
    assert displayed(f"dlcourse.sums.Sum.total:{2}").holds({"y": 1, "z": 1})
"""
SEALED = "{}: {{why: it cannot be computed, compared: with the code by eye}}"


@pytest.fixture
def repository(tmp_path):
    written = {
        "dlcourse/sums.py": MODULE,
        "book/page.md": "$$ a + a = 2 a $$ (eq-sum)",
        "tests/test_sums.py": TEST,
        "tests/book/seals/displays.yml": f"sealed: {{{SEALED.format('dlcourse.sums')}}}",
    }
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_loose_display_and_a_label_that_no_page_has_are_named(repository):
    total, label = faults(repository)
    assert total.startswith("The docstring of dlcourse.sums.Sum.total:2 displays a formula")
    assert label.startswith("The docstring of dlcourse.sums.Sum shows `eq-some`, which no page")
    assert overlooked(repository) == 0


def test_a_seal_goes_once_its_display_is_evaluated_or_gone(repository):
    labels = ("dlcourse.sums.Sum.total", "dlcourse.gone")
    entries = "".join(f"\n  {SEALED.format(label)}" for label in labels)
    (repository / "tests/book/seals/displays.yml").write_text(f"sealed:{entries}")
    seals.displays.cache_clear()
    found = [fault for fault in faults(repository) if "take it out" in fault]
    assert [label in fault for label, fault in zip(sorted(labels)[::-1], found, strict=True)]
    assert any("dlcourse.sums displays a formula" in fault for fault in faults(repository))


def test_a_display_outside_of_a_docstring_is_noticed(repository):
    with (repository / "dlcourse/sums.py").open("a") as module:
        module.write('TEXT = """\n.. math:: a = b\n\n.. displayed:: eq-sum\n"""\n')
    assert overlooked(repository) == 2
