"""Every figure: its data are tested, its chapter shows it, and its texts type no number.

That a figure has data, a caption and an alt text at all, `Figure` itself demands.
"""

import ast

import pytest

from tests import ROOT
from tools import chapters, prose_numbers

EVERY = "*"  # a figure of dlcourse/drawing belongs to every chapter that shows it


def functions(tree):
    return [node for node in tree.body if isinstance(node, ast.FunctionDef)]


def names(node):
    """Every name and attribute in the code below a node."""
    parts = list(ast.walk(node))
    return {part.attr for part in parts if isinstance(part, ast.Attribute)} | {
        part.id for part in parts if isinstance(part, ast.Name)
    }


def figures(tree):
    """The public functions that return a `Figure`."""
    shown = [node for node in functions(tree) if not node.name.startswith("_")]
    return [node for node in shown if node.returns and ast.unparse(node.returns) == "Figure"]


def texts(tree):
    """What a module may show as text: its strings of several words, computed parts as signs."""
    specs = {id(x.format_spec) for x in ast.walk(tree) if isinstance(x, ast.FormattedValue)}
    inside, strings = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in specs:
            inside.update(map(id, node.values))
            parts = [getattr(part, "value", None) for part in node.values]
            strings.append(
                "".join(x if isinstance(x, str) else prose_numbers.COMPUTED for x in parts)
            )
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(id(node.value))  # a docstring
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings += [node.value] if id(node) not in inside else []
    return [text for text in strings if " " in text.strip()]


def held_by_tests(tree):
    """Names that a test calls, itself or by what it uses, while it asserts on `.data`."""
    uses = {node.name: names(node) | {a.arg for a in node.args.args} for node in functions(tree)}
    found = set()
    for node in functions(tree):
        if node.name.startswith("test_") and asserts(node):
            reached, waiting = set(), [node.name]
            while waiting:
                new = uses.get(waiting.pop(), set()) - reached
                reached |= new
                waiting += new
            found |= reached if "data" in reached else set()
    return found


def asserts(node):
    parts = list(ast.walk(node))
    return any(isinstance(x, ast.Assert) for x in parts) or any(
        isinstance(x, ast.Attribute) and x.attr.startswith("assert_") for x in parts
    )


def faults(root=ROOT):
    """What is wrong with the figures, as sentences."""
    for path in sorted((root / "dlcourse" / "chapters").glob("*/figures.py")):
        yield from of_module(root, path, path.parent.name)
    for path in sorted((root / "dlcourse" / "drawing").glob("*.py")):
        if figures(ast.parse(path.read_text(encoding="utf-8"))):
            yield from of_module(root, path, EVERY)


def of_module(root, path, stem):
    place = path.relative_to(root).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = root.glob(f"tests/chapters/{stem}/test_figures.py")
    held = {name for test in tests for name in held_by_tests(ast.parse(test.read_text("utf-8")))}
    code = "\n".join(chapters.code(chapters.read(path)) for path in root.glob(f"book/{stem}.ipynb"))
    used = names(ast.parse(code))
    for node in functions(tree):
        if not node.returns and not node.name.startswith("_"):
            yield f"{place}: {node.name} must say what it returns, `-> Figure` if it draws one."
    for name in (node.name for node in figures(tree)):
        if name not in held:
            yield (
                f"{place}: no test holds what the figure {name} draws. In "
                f"tests/chapters/{stem}/test_figures.py call it and assert the claim of its "
                "caption on `.data`."
            )
        if name not in used:
            yield (
                f"{place}: book/{stem}.ipynb does not show the figure {name}. Show it, or "
                "delete the function."
            )
    for text in texts(tree):
        for number in prose_numbers.measured(text):
            yield (
                f'{place} types "{number}" in the text "{text.translate(prose_numbers.SHOWN)}" '
                'Compute it from the data that are drawn: f"{share:.0%}".'
            )


def test_every_figure_is_held_by_its_data_and_shown():
    found = list(faults())
    assert not found, "\n".join(found)


MODULE = '''
"""Figures."""


def line(share) -> Figure:
    """A line through 0.25 of the points."""
    ax.plot([0.25, 1], color="0.5", label=f"slope {share:.3f} of 2")
    return Figure(fig, {"y": y}, caption=f"It holds {share:.0%} of 12.", alt="A line at 1/2.")


def _help():
    return 1
'''
TEST = """
def drawn():
    return figures.line(0.25)


def test_line():
    assert drawn().data["y"] == 1
"""


@pytest.fixture
def found_with(tmp_path):
    """The faults of one module of figures, with its chapter and its tests."""

    def found_with(module=MODULE, test=TEST, code="figures.line(0.25)"):
        for folder in ("dlcourse/chapters/alpha", "tests/chapters/alpha", "book"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "dlcourse/chapters/alpha/figures.py").write_text(module)
        (tmp_path / "tests/chapters/alpha/test_figures.py").write_text(test)
        new = chapters.nbformat.v4
        notebook = new.new_notebook(cells=[new.new_code_cell(code)])
        chapters.nbformat.write(notebook, tmp_path / "book/alpha.ipynb")
        return list(faults(tmp_path))

    return found_with


def test_a_sound_figure_has_no_fault(found_with):
    assert found_with() == []


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ('caption=f"It holds 25 % of {n}."', "25 %"),
        ('caption="It falls to " "0.037 of it."', "0.037"),
        ('caption="Up to 442 points."', "442"),
    ],
)
def test_a_number_typed_in_a_caption_is_caught(found_with, typed, number):
    (fault,) = found_with(MODULE.replace('caption=f"It holds {share:.0%} of 12."', typed))
    assert f'types "{number}"' in fault


def test_a_number_typed_in_a_label_or_an_alt_text_is_caught(found_with):
    assert len(found_with(MODULE.replace("slope {share:.3f}", "slope 0.25"))) == 1
    assert len(found_with(MODULE.replace("at 1/2", "at 0.5"))) == 1


@pytest.mark.parametrize(
    "test",
    [
        TEST.replace(".data", ".caption"),
        TEST.replace("assert ", ""),
        TEST.replace("line(", "other("),
        TEST.replace("test_line", "line"),
    ],
    ids=["without the data", "without an assert", "of another figure", "without a test"],
)
def test_a_figure_that_no_test_holds_is_caught(found_with, test):
    (fault,) = found_with(test=test)
    assert "no test holds what the figure line draws" in fault


def test_a_figure_that_its_chapter_does_not_show_is_caught(found_with):
    (fault,) = found_with(code="figures.other(0.25)")
    assert "does not show the figure line" in fault


def test_a_figure_that_says_nothing_of_its_return_is_caught(found_with):
    (fault,) = found_with(MODULE.replace(" -> Figure", ""))
    assert "must say what it returns" in fault
