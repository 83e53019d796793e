"""Faults planted in what a reader sees: displays, hypotheses, solutions, cells, numbers, errata.

All of them stand in one copy of the repository, and one run of what holds the text must turn red
for each.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests import ROOT
from tools import proofs, statements

COPIED = ["book", "dlcourse", "tests", "tools"]
SETTINGS = ["pyproject.toml", "_toc.yml", "_config.yml"]
SEALS = "tests/book/test_seals.py"
NUMBERS = "tests/book/test_numbers_in_prose.py"
PAGES = (".ipynb", ".md", ".yml", ".bib")
TEST_OF = dict(proofs.evaluating(ROOT))

# label: what stands in the display, what is planted
DISPLAYS = {
    "eq-adam-step": (r"- \alpha", r"+ \alpha"),
    "eq-adam-mean-square": ("g_k^2", "g_k"),
    "eq-adam-variance": (r"(1 + \beta)(1", "(1"),
    "eq-adam-correction": (r"\beta_2^k", r"\beta_2"),
    "eq-adam-unrolled": (r"\beta^{k-i}", r"\beta^{k-i+1}"),
    "eq-gd-convex-rate": (r"2 \, t", r"8 \, t"),
    "eq-gd-linear-rate": (r"\frac{m}{M}", r"\frac{M}{m}"),
    "eq-ols-gradient": (r"(X\beta - y)", r"X\beta - y"),
    "eq-sampling-variance": ("^{-1}", ""),
    "eq-heavy-ball-floor": (r"2 + 2\beta", r"2 + 3\beta"),
    "eq-nesterov-convex-rate": ("(k + 1)^2", "k^2"),
    "eq-newton-schulz": ("b A_i", "c A_i"),
    "eq-muon-steepest": (r"\rVert_*", r"\rVert_F"),
    "eq-parallel-hiding-tokens": (r"\frac{k}{3}", r"\frac{k}{2}"),
    "eq-cost-six": ("6 N D", "5 N D"),
    "eq-sgd-floor": (r"\le", r"\ge"),
    "eq-logistic-hessian": (r"\frac1n ", ""),
    "eq-logistic-attenuation": (r"\sqrt{1 + 3\omega^2 / \pi^2}", r"{1 + 3\omega^2 / \pi^2}"),
}
# what it is: page, what stands there, what is planted
WORDS = {
    "a hypothesis": (
        "gradient_descent",
        "Let $f$ be convex and $L$-smooth",
        "Let $f$ be $L$-smooth",
    ),
    "a range": (
        "gradient_descent",
        r"With a fixed step $t \le 1/L$",
        r"With a fixed step $t \le 2/L$",
    ),
    "a definition": (
        "gradient_descent",
        "`, $m > 0$, if for every $x$",
        "`, $m > 0$, if for some $x$",
    ),
    "a lemma": (
        "adam",
        "The gradients need not be independent",
        "The gradients must be independent",
    ),
    "a step of an algorithm": (
        "parallel_training",
        "sends its chunk $r - k$",
        "sends its chunk $r + k$",
    ),
    "a theorem without a display": ("logistic_regression", "has no minimizer", "has a minimizer"),
    "a solution": ("training_cost", r"by $\sqrt{20 / k}$", r"by $\sqrt{k / 20}$"),
    "a cell of a table": ("muon", "| sign descent; Adam", "| gradient descent; Adam"),
    "a cell of the notation": ("notation", "| number of observations |", "| number of columns |"),
    "a term of the glossary": ("glossary", "before it subtracts it", "before it adds it"),
    "a number beside a citation": (
        "least_squares",
        "more than 100 percentage",
        "more than 10 percentage",
    ),
    "a corrected formula": ("errata.yml", r"$X^+ y$", r"$X^- y$"),
    "another glued number": (
        "adam",
        "{glue:text}`adam_first` times",
        "{glue:text}`adam_peak` times",
    ),
    "a formula in a sentence": ("adam", r"falls from $\sigma^2$", r"falls from $\sigma$"),
    "a remark in a display": (
        "least_squares",
        r"&& \text{approximation}",
        r"&& \text{estimation}",
    ),
    "what is given in a display": ("training_cost", r"o \mid y", r"o \mid k"),
    "sides that change places": ("supervised_learning", "(y - f)^2", "(f - y)^2"),
    "the year of a reference": ("references.bib", "{2015}", "{2016}"),
    "a number in words": ("theorems", "Four kinds of failure", "Five kinds of failure"),
}
# what it is: page, what stands there, what is planted, and the number that is named
NUMBERS_PLANTED = {
    "a result in a formula": ("adam", "1.999 / 0.001 = 1999", "1.999 / 0.001 = 1998", "1998"),
    "arithmetic": ("hardware", "$1321 / 8 = 165$", "$1321 / 8 = 156$", "156"),
    "a ratio in words": (
        "momentum",
        "A paper that",
        "Ninety times as fast. A paper that",
        "90 times",
    ),
    "a number in code's place": ("adam", "{glue:text}`adam_peak_at`", "38.2", "38.2"),
}
# a docstring's formula: file, what stands there, what is planted
DOCSTRING_LABEL = "dlcourse.linear.coordinate_descent.soft_threshold"
DOCSTRING = ("dlcourse/linear/coordinate_descent.py", "|u| - t", "|u| + t")


def planted(text, old, new):
    assert old in text, f"{old!r} is not there any more: plant something else"
    return text.replace(old, new, 1)


def plant(root, page, old, new):
    """Change the text of a page once, whatever its file."""
    path = next(p for p in root.glob(f"book/{page}*") if p.suffix in PAGES)
    if path.suffix != ".ipynb":
        path.write_text(planted(path.read_text(), old, new))
        return
    notebook = json.loads(path.read_text())
    cells = [c for c in notebook["cells"] if c["cell_type"] == "markdown"]
    (cell, *_) = [c for c in cells if old in "".join(c["source"])] or [{"source": ""}]
    cell["source"] = planted("".join(cell["source"]), old, new)
    path.write_text(json.dumps(notebook))


def plant_in_display(root, label, old, new):
    """Change the display of a label on whatever page has it."""
    for path in sorted(root.glob("book/*.ipynb")):
        for text in statements.displays(statements.prose(path)).items():
            if text[0] == label:
                plant(root, path.stem, text[1], planted(text[1], old, new))
                return
    raise AssertionError(f"no page has {label}: plant something else")


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What one run prints over a copy of the repository with all the faults."""
    root = tmp_path_factory.mktemp("planted") / "copy"
    for folder in COPIED:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SETTINGS:
        shutil.copy(ROOT / name, root)
    for label, (old, new) in DISPLAYS.items():
        plant_in_display(root, label, old, new)
    for page, old, new, *_ in [*WORDS.values(), *NUMBERS_PLANTED.values()]:
        plant(root, page, old, new)
    path = root / DOCSTRING[0]
    path.write_text(planted(path.read_text(), *DOCSTRING[1:]))
    tests = sorted({TEST_OF[label] for label in [*DISPLAYS, DOCSTRING_LABEL]})
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider", "--tb=short"]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    run = subprocess.run(
        [*command, *tests, SEALS, NUMBERS], cwd=root, env=inherited, capture_output=True, text=True
    )
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("label", [*DISPLAYS, DOCSTRING_LABEL])
def test_a_changed_display_turns_its_test_red(printed, label):
    assert f"FAILED {TEST_OF[label]}" in printed


@pytest.mark.parametrize("what", WORDS)
def test_a_changed_word_breaks_the_seal_and_is_shown(printed, what):
    page, old, new = WORDS[what]
    assert f"FAILED {SEALS}::test_the_words_are_as_they_were_sealed[{page}]" in printed
    assert any(line.startswith("+") and new in line for line in printed.splitlines())


def test_a_changed_docstring_breaks_the_seal_of_its_room(printed):
    assert f"FAILED {SEALS}::test_the_words_are_as_they_were_sealed[dlcourse.linear]" in printed


@pytest.mark.parametrize("what", NUMBERS_PLANTED)
def test_a_number_that_nothing_holds_is_named(printed, what):
    page, *_, number = NUMBERS_PLANTED[what]
    assert f'book/{page}.ipynb types "{number}"' in printed
