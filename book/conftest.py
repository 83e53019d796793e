"""What nbval lets pass, closed: unrun cells, switched-off comparisons, figures as pixels.

nbval runs each chapter once and compares stdout, stderr, text, HTML, SVG, Markdown, JSON and glued
numbers. Here a cell also fails that was never run, that asks not to be compared, or that shows a
bitmap, which nbval does not compare; figures agree where no eye sees a
difference. The outputs of a chapter whose cells all passed are kept in `_build/executed` or
`DLCOURSE_EXECUTED`: the tested site is built from exactly those.
"""

import copy
import os
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import IPyNbCell

from tools import drawings

BUILD = Path(__file__).parents[1] / "_build"
EXECUTED = Path(os.environ.get("DLCOURSE_EXECUTED", BUILD / "executed"))
RUNS_ALL = "test_wheel"  # this module runs every chapter once more, one after the other
BITMAPS = {"image/png", "image/jpeg", "image/gif"}


def fail(item, problem, cure):
    pytest.fail(f"{item.path.name}, code cell {item.cell_num}: {problem} {cure}", pytrace=False)


def seconds(item):
    return item.parent.nb.metadata.get("dlcourse", {}).get("seconds", float("inf"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """The wheel, then the chapters, the longest first: a long one that starts last costs time."""

    def rank(item):
        if isinstance(item, IPyNbCell):
            return -seconds(item), str(item.path)
        return (float("-inf") if item.path.stem == RUNS_ALL else 1), ""

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not isinstance(item, IPyNbCell):
        return (yield)
    if item.cell.source.strip() and item.cell.execution_count is None:
        fail(item, "has no stored run.", "Refresh the outputs: make book.")
    if not item.options["check"] or item.options["skip"] or item.options["check_exception"]:
        fail(item, "asks not to be compared.", "Remove its nbval tag or comment.")
    compare = item.compare_outputs
    item.compare_outputs = lambda test, ref: compare(as_seen(test, ref), ref)
    result = yield
    for output in [*item.cell.outputs, *item.test_outputs]:
        if BITMAPS & set(output.get("data", {})):
            fail(item, "shows a bitmap.", "Draw it through dlcourse.drawing, as SVG.")
    return result


def as_seen(test, reference):
    """The outputs, each figure replaced by the stored one where they cannot be told apart."""
    seen = copy.deepcopy(test)
    for output, stored in zip(seen, reference, strict=False):
        html, stored_html = (out.get("data", {}).get("text/html", "") for out in (output, stored))
        if html != stored_html and drawings.agree(html, stored_html):
            output["data"]["text/html"] = stored_html
    return seen


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if isinstance(item, IPyNbCell) and call.when == "call" and report.passed:
        keep_outputs(item)
    return report


def keep_outputs(item):
    """Collect the outputs of this cell; write the chapter once its last cell has passed."""
    passed = item.parent.__dict__.setdefault("passed_outputs", {})
    passed[item.cell_num] = item.test_outputs
    executed = copy.deepcopy(item.parent.nb)
    cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    if len(passed) < len(cells):
        return
    for number, outputs in passed.items():
        cells[number].outputs = [nbformat.from_dict(dict(output)) for output in outputs]
    EXECUTED.mkdir(parents=True, exist_ok=True)
    nbformat.write(executed, EXECUTED / item.path.name)
