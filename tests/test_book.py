"""The form of the chapters: what each notebook must have, whatever it teaches."""

import ast
import asyncio
import math
import re
import statistics
from pathlib import Path

import bs4
import pytest
import yaml

from tools import chapters

INSTALL = """\
# Where the package is missing, as on Colab, this installs it; elsewhere it does nothing.
import importlib.util

if importlib.util.find_spec("dlcourse") is None:
    %pip install --quiet "dlcourse[torch]"
    importlib.invalidate_caches()
    if importlib.util.find_spec("dlcourse") is None:
        raise ModuleNotFoundError(
            "dlcourse could not be installed. "
            "Run `pip install dlcourse[torch]` in a terminal, then restart the kernel."
        )"""
NOTEBOOKS = {path.stem: chapters.read(path) for path in sorted(chapters.BOOK.glob("*.ipynb"))}
every_chapter = pytest.mark.parametrize("notebook", NOTEBOOKS.values(), ids=NOTEBOOKS)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def html_outputs(notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]


def test_the_table_of_contents_lists_every_chapter():
    contents = yaml.safe_load((chapters.ROOT / "_toc.yml").read_text())
    listed = {Path(entry["file"]).name for part in contents["parts"] for entry in part["chapters"]}
    assert NOTEBOOKS
    assert set(NOTEBOOKS) <= listed


@every_chapter
def test_stored_outputs_are_current(notebook):
    assert not chapters.is_stale(notebook), "outputs are stale. Refresh them: make book"


@every_chapter
def test_code_stays_thin(notebook):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(notebook)]
    median = statistics.median(lengths[1:])  # the first cell is the same in every chapter
    print(f"{len(lengths)} cells, median {median}, longest {max(lengths)}")
    assert len(lengths) <= 20
    assert median <= 6
    assert max(lengths) <= 20


@every_chapter
def test_the_first_code_cell_installs_the_package_where_it_is_missing(notebook):
    first = code_cells(notebook)[0]
    assert first.source == INSTALL
    assert first.metadata.tags == ["remove-cell"]


@every_chapter
def test_a_reader_finds_parameters_to_change(notebook):
    tagged = [
        cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", [])
    ]
    assert len(tagged) == 1
    assert all("#" in line for line in tagged[0].source.splitlines() if "=" in line)


@every_chapter
def test_the_title_says_what_it_is_about_and_what_it_costs(notebook):
    title = notebook.cells[0].source
    for field in ("# ", "**Question** ", "**You will be able to**", "**Cost** ", "**Where** "):
        assert field in title
    assert chapters.cost(notebook, notebook.metadata.dlcourse.seconds) in title


@every_chapter
def test_every_displayed_equation_has_a_label_of_its_own(notebook):
    displays = re.findall(r"\$\$.+?\$\$(?: \((eq-[a-z0-9-]+)\))?", prose(notebook), re.DOTALL)
    assert displays
    assert "" not in displays, "a displayed equation has no label: write $$ ... $$ (eq-name)"
    assert len(set(displays)) == len(displays)
    assert r"\begin{align" not in re.sub(r"\$\$.+?\$\$", "", prose(notebook), flags=re.DOTALL)


def proved_labels():
    """What the tests say that they prove, by their markers."""
    for path in Path(__file__).parent.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.proves":
                yield from (argument.value for argument in node.args)


def stated_labels(notebook):
    """Labels of displayed equations, theorems, lemmas, definitions and algorithms."""
    blocks = re.findall(r":label: ((?:thm|lem|def|alg)-[a-z0-9-]+)", prose(notebook))
    return {*re.findall(r"\$\$ \((eq-[a-z0-9-]+)\)", prose(notebook)), *blocks}


@every_chapter
def test_every_equation_and_theorem_is_proved_by_a_test(notebook):
    assert stated_labels(notebook) - set(proved_labels()) == set()


def test_no_test_proves_what_the_book_does_not_state():
    stated = set().union(*map(stated_labels, NOTEBOOKS.values()))
    assert set(proved_labels()) - stated == set()


@every_chapter
def test_every_exercise_has_a_solution_and_every_proof_is_folded(notebook):
    text = prose(notebook)
    exercises = re.findall(
        r"^:{3,}\{exercise[^\n]*\n(?:[^\n]*\n)*?:label: (\S+)", text, re.MULTILINE
    )
    solutions = re.findall(r"^:{3,}\{solution(?:-start)?\} (\S+)", text, re.MULTILINE)
    assert 4 <= len(exercises) <= 6
    assert sorted(exercises) == sorted(solutions)
    for block in re.findall(
        r"^:{3,}\{(?:prf:proof|solution(?:-start)?)\}[^\n]*\n(.*?)\n\n", text, re.M | re.S
    ):
        assert ":class: dropdown" in block  # fmt: skip


@every_chapter
def test_every_figure_has_a_text_alternative(notebook):
    for page in html_outputs(notebook):
        soup = bs4.BeautifulSoup(page, "html.parser")
        for picture in soup.find_all(["svg", "img", "canvas"]):
            text = picture.get("aria-label") or picture.get("alt") or ""
            assert len(text.split()) >= 6, (
                f"a figure says too little to who cannot see it: {text!r}"
            )


@every_chapter
def test_directives_are_fenced_with_colons(notebook):
    assert "```{" not in prose(notebook), (
        "use :::{name}: JupyterLab and Colab typeset what is in it"
    )


@pytest.fixture
def copied_book(tmp_path, monkeypatch):
    """A repository of one chapter and a package of three modules, for the staleness tests."""
    files = {
        "dlcourse/__init__.py": "",
        "dlcourse/used.py": "from dlcourse.rooms import below\n",
        "dlcourse/rooms/__init__.py": "",
        "dlcourse/rooms/below.py": "x = 1\n",
        "dlcourse/rooms/page.js": "1;\n",
        "dlcourse/unused.py": "y = 1\n",
        "requirements.lock": "numpy==1\n",
        "requirements-torch.lock": "torch==1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(chapters, "ROOT", tmp_path)
    notebook = chapters.nbformat.v4.new_notebook()
    notebook.cells = [chapters.nbformat.v4.new_code_cell("from dlcourse import used\n%time 1")]
    notebook.metadata["dlcourse"] = {"sources": chapters.sources_digest(notebook), "seconds": 1}
    return tmp_path, notebook


@pytest.mark.parametrize(
    "name",
    ["dlcourse/used.py", "dlcourse/rooms/below.py", "dlcourse/rooms/page.js", "requirements.lock"],
)
def test_a_change_in_what_a_chapter_uses_makes_it_stale(copied_book, name):
    root, notebook = copied_book
    assert not chapters.is_stale(notebook)
    with (root / name).open("a") as file:
        file.write("# another line\n")
    assert chapters.is_stale(notebook)


def test_a_change_in_what_a_chapter_does_not_use_leaves_it_current(copied_book):
    root, notebook = copied_book
    (root / "dlcourse" / "unused.py").write_text("y = 2\n")
    notebook.cells.append(chapters.nbformat.v4.new_markdown_cell("More prose."))
    assert not chapters.is_stale(notebook)


def test_a_change_of_its_own_code_makes_a_chapter_stale(copied_book):
    _, notebook = copied_book
    notebook.cells[0].source += "\n2"
    assert chapters.is_stale(notebook)


def test_a_chapter_that_fails_is_left_as_it_was(tmp_path):
    path = tmp_path / "broken.ipynb"
    notebook = chapters.nbformat.v4.new_notebook()
    notebook.cells = [chapters.nbformat.v4.new_code_cell("1 / 0")]
    chapters.nbformat.write(notebook, path)
    before = path.read_bytes()
    (message,) = asyncio.run(chapters.refresh([path]))
    assert "broken.ipynb was left as it was" in message
    assert "ZeroDivisionError" in message
    assert path.read_bytes() == before


def test_a_new_chapter_runs_first():
    assert chapters.seconds(chapters.nbformat.v4.new_notebook()) == math.inf
