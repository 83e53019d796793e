"""The homework that a student's notebook carries: its visible tests, as the grader reads them."""

import ast

from dlcourse.grading.check import Checks
from dlcourse.grading.homework import Homework, Question, UnitTest
from dlcourse.grading.sandbox.inside.magics import plain_python


def loading_cell(cells) -> tuple[int, dict] | None:
    """(index, arguments) of the cell that loads the checks; None if there is none.

    What the cell hands to `Checks` are literals, so it is read and not run.
    """
    for index, source in enumerate(cells):
        if "Checks" in source and (arguments := _arguments(source)):
            return index, arguments
    return None


def _arguments(source):
    try:
        tree = ast.parse(plain_python(source))
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        for call in calls:
            if getattr(call.func, "id", getattr(call.func, "attr", "")) == "Checks":
                return {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return None


def added_lines(source: str) -> list[int]:
    """Lines of the loading cell that are not part of it: the student's own, which nobody runs."""
    ours = ("Checks", "check")
    return [
        node.lineno
        for node in ast.parse(plain_python(source)).body
        if not (isinstance(node, ast.ImportFrom) and [a.name for a in node.names] == ["Checks"])
        and not (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ours)
    ]


class Visible:
    """The visible tests that a notebook carries: as `checks`, and as a `homework` to grade by."""

    def __init__(self, index: int, arguments: dict):
        self.index, self.checks = index, Checks({}, **arguments)  # of the cell that loads them
        grader, tests = self.checks.grader, {}
        for node in ast.parse(arguments["tests"]).body:
            question, test = _test(node, arguments["tests"])
            tests.setdefault(question, []).append(test)
        questions = (
            Question(id, id, tuple(functions), "", "", tuple(tests.get(id, ())), ())
            for id, functions in self.checks.functions.items()
        )
        self.homework = Homework(
            name=self.checks.homework,
            number=0,
            title=self.checks.homework,
            setup="",  # visible tests use nothing of it
            oracle="",
            questions=tuple(questions),
            pieces=(),
            flagged=tuple(grader.get("withheld", ())),
            needs_torch=bool(grader.get("torch", False)),
        )

    @property
    def extras(self) -> tuple[str, ...]:
        """Of this package, that a grader of the homework has installed."""
        return ("grading", "torch") if self.homework.needs_torch else ("grading",)


def _test(node, text):
    decorator = node.decorator_list[0]
    about = {word.arg: ast.literal_eval(word.value) for word in decorator.keywords}
    claim = " ".join((ast.get_docstring(node) or "").split())
    source = ast.get_source_segment(text, node)
    test = UnitTest(node.name, claim, about["points"], about["hint"], source, False)
    return ast.literal_eval(decorator.args[0]), test
