"""Read a master notebook: everything about a homework in one place.

`homework/<name>/master.ipynb` is an ordinary notebook. Its metadata say which homework it is::

    "dlcourse": {"homework": "logistic_regression", "number": 1,
                 "flagged": ["dlcourse.losses"], "torch": false}

`flagged` are modules that answer a question: where homework is graded they cannot be imported.
Cells without a tag below go to students as they stand. The tags of the others, by the tag toolbar
of JupyterLab:

===============  ================================================================================
`setup`          imports and helpers that students have too; hidden tests may use them.
                 Visible tests have NumPy as `np`, and `expect`, nothing else
`oracle`         code for hidden tests only
`instructors`    for whoever writes the homework; left out of everything
`q1`, `answer`   the functions of question q1. What stands between `### BEGIN SOLUTION` and
                 `### END SOLUTION` becomes `# YOUR CODE HERE`
`q1`, `tests`    functions decorated with `@test(points=..., hint=...)`; those between
                 `### BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS` never leave the grader
`q1`, `mutants`  calls `mutant(name, old, new, hint)`: a typical mistake is the solution with the
                 text `old` replaced by `new`
===============  ================================================================================

In Markdown `{points}` stands for the points of the question whose answer comes next, and in the
first cell for those of the whole homework. The markers are those of nbgrader.
"""

import ast
import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path

from dlcourse.grading.authoring import mutant
from dlcourse.grading.homework import Homework, Mistake, Piece, Question, UnitTest

ROLES = {"setup", "oracle", "instructors", "answer", "tests", "mutants"}
SOLUTION, HIDDEN = "SOLUTION", "HIDDEN TESTS"


class MasterError(ValueError):
    """A master notebook that cannot be read: which cell, what is wrong, and the cure."""


@dataclass
class _Cell:
    number: int
    kind: str
    source: str
    role: str | None
    question: str | None

    def error(self, message):
        begin = self.source.strip().partition("\n")[0][:60]
        return MasterError(f"Cell {self.number} of the master ({begin!r}): {message}")


def read(path) -> Homework:
    """The homework of a master notebook; raises `MasterError` if it is malformed."""
    path = Path(path)
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        about = notebook["metadata"]["dlcourse"]
        cells = [_cell(number, cell) for number, cell in enumerate(notebook["cells"], start=1)]
        name, number = about["homework"], about["number"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, MasterError):
            raise
        raise MasterError(
            f"{path} is not a master notebook: {error!r}. It must be a notebook (nbformat 4) whose "
            'metadata hold "dlcourse": {"homework": name, "number": 1}.'
        ) from error
    questions = tuple(_questions(cells))
    return Homework(
        name=name,
        number=number,
        title=_title(cells, name),
        setup=_joined(cells, "setup"),
        oracle=_joined(cells, "oracle"),
        questions=questions,
        pieces=tuple(_pieces(cells, questions)),
        flagged=tuple(about.get("flagged", ())),
        needs_torch=bool(about.get("torch", False)),
    )


def _cell(number, cell):
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    tags = set(cell["metadata"].get("tags", ()))
    roles, ids = tags & ROLES, {tag for tag in tags if re.fullmatch(r"q\d+", tag)}
    role, question = next(iter(roles), None), next(iter(ids), None)
    parsed = _Cell(number, cell["cell_type"], source, role, question)
    if len(roles) > 1 or len(ids) > 1 or tags - roles - ids:
        raise parsed.error(f"its tags {sorted(tags)} must name one of {sorted(ROLES)} at most.")
    if (role in ("answer", "tests", "mutants")) != bool(ids):
        raise parsed.error(
            "the tags answer, tests and mutants need the question's tag, such as q1."
        )
    if role in ROLES - {"instructors"} and parsed.kind != "code":
        raise parsed.error(f"a cell tagged {role} must hold code.")
    return parsed


def _questions(cells):
    """The questions in the order of their answers."""
    by_role = {}
    for cell in cells:
        if cell.question:
            if by_role.setdefault((cell.question, cell.role), cell) is not cell:
                raise cell.error(f"{cell.question} has two cells tagged {cell.role}. Merge them.")
    answers = [cell for (_, role), cell in by_role.items() if role == "answer"]
    lone = {id for id, _ in by_role} - {cell.question for cell in answers}
    if lone or not answers:
        raise MasterError(f"The master needs a cell tagged answer for each of {sorted(lone)}.")
    for answer in answers:
        for role in ("tests", "mutants"):
            if (answer.question, role) not in by_role:
                raise answer.error(f"{answer.question} needs a cell tagged {role}.")
        yield _question(
            cells, *(by_role[answer.question, r] for r in ("answer", "tests", "mutants"))
        )


def _question(cells, answer, tests, mutants):
    kept = [line for line, _ in _regions(answer, SOLUTION)]
    functions = [node.name for node in _parse(answer) if isinstance(node, ast.FunctionDef)]
    functions = tuple(name for name in functions if not name.startswith("_"))
    if not functions:
        raise answer.error("an answer must define at least one function, without leading _.")
    solution = "\n".join(kept)
    return Question(
        id=answer.question,
        title=_heading_before(cells, answer),
        functions=functions,
        starter=_starter(answer),
        solution=solution,
        tests=tuple(_tests(tests)),
        mistakes=tuple(_mistakes(mutants, solution)),
    )


def _regions(cell, marker):
    """(line, whether it is inside) for each line but the markers themselves."""
    inside = seen = False
    for line in cell.source.splitlines():
        match = re.fullmatch(rf"\s*### (BEGIN|END) {marker}\s*", line)
        if match is None:
            if re.match(r"\s*#+\s*(BEGIN|END)\b", line):
                raise cell.error(f"{line.strip()!r} is no marker here: use '### BEGIN {marker}'.")
            yield line, inside
        elif (match[1] == "BEGIN") == inside:
            raise cell.error(f"'### {match[1]} {marker}' stands without its counterpart.")
        else:
            inside, seen = not inside, True
    if inside or not seen:
        raise cell.error(f"it needs '### BEGIN {marker}' and then '### END {marker}'.")


def _starter(answer):
    lines, was_inside = [], False
    for line, inside in _regions(answer, SOLUTION):
        if inside and not was_inside:
            indent = line[: len(line) - len(line.lstrip())]
            words = f'"{answer.question} is not answered yet"'
            lines += [f"{indent}# YOUR CODE HERE", f"{indent}raise NotImplementedError({words})"]
        elif not inside:
            lines.append(line)
        was_inside = inside
    return "\n".join(lines)


def _tests(cell):
    is_hidden = [inside for _, inside in _regions(cell, HIDDEN)]
    lines = [line for line, _ in _regions(cell, HIDDEN)]
    names = set()
    for node in _parse(cell, "\n".join(lines)):
        decorated = isinstance(node, ast.FunctionDef) and len(node.decorator_list) == 1
        if not decorated or not ast.get_docstring(node):
            raise cell.error(
                "it may hold functions only, each decorated with @test(points=..., hint=...) and "
                "with a docstring that states its claim. Put helpers into the oracle."
            )
        hidden = is_hidden[node.lineno - 1]
        arguments = [argument.arg for argument in node.args.args]
        if arguments not in (["student"], ["student", "rng"][: 1 + hidden]):
            raise cell.error(f"{node.name} must take (student), or (student, rng) if it is hidden.")
        if node.name in names:
            raise cell.error(f"two tests are called {node.name}.")
        names.add(node.name)
        points, hint = _literals(cell, node.decorator_list[0], "test", ("points", "hint"))
        if not points > 0:
            raise cell.error(f"{node.name} must be worth more than 0 points, got {points!r}.")
        source = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        claim = inspect.cleandoc(ast.get_docstring(node))
        yield UnitTest(node.name, claim, points, hint, source, hidden)
    if not (any(is_hidden) and not all(is_hidden)):
        raise cell.error("it needs at least one visible and one hidden test.")


def _mistakes(cell, solution):
    names = list(inspect.signature(mutant).parameters)
    for node in _parse(cell):
        name, old, new, hint = _literals(cell, getattr(node, "value", None), "mutant", names)
        if solution.count(old) != 1:
            raise cell.error(
                f"{name!r} must replace text that stands exactly once in the solution, "
                f"found {solution.count(old)} times: {old!r}."
            )
        source = solution.replace(old, new)
        _parse(cell, source)
        yield Mistake(name, hint, source)


def _literals(cell, call, function, names):
    """Arguments of a call `function(...)` that is written with literals."""
    try:
        if call.func.id != function or len(call.args) > len(names):
            raise ValueError
        given = dict(zip(names, call.args, strict=False)) | {k.arg: k.value for k in call.keywords}
        return [ast.literal_eval(given[name]) for name in names]
    except (AttributeError, KeyError, ValueError):
        wanted = ", ".join(f"{name}=..." for name in names)
        raise cell.error(f"expected {function}({wanted}) with literal values.") from None


def _parse(cell, source=None):
    try:
        return ast.parse(cell.source if source is None else source).body
    except SyntaxError as error:
        raise cell.error(f"it is not valid Python: {error}.") from error


def _title(cells, name):
    first = next((cell for cell in cells if cell.kind == "markdown"), None)
    return first.source.partition("\n")[0].lstrip("# ") if first else name


def _heading_before(cells, answer):
    texts = [c.source for c in cells if c.kind == "markdown" and c.number < answer.number]
    headings = re.findall(r"^#+ (.*)$", "\n".join(texts), re.MULTILINE)
    title = headings[-1] if headings else answer.question
    return re.sub(r"\s*\([^)]*\{points\}[^)]*\)", "", title)


def _joined(cells, role):
    return "\n\n".join(cell.source for cell in cells if cell.role == role)


def _pieces(cells, questions):
    """What students see, in order; the points of a question are known by now."""
    points = {question.id: question.points for question in questions}
    shown = [cell for cell in cells if cell.role not in ("oracle", "instructors", "mutants")]
    worth, pieces = sum(points.values()), []
    for cell in reversed(shown[1:]):
        if cell.role in ("answer", "tests"):
            worth = points[cell.question]
            pieces.append(Piece(cell.role, cell.question))
        else:
            pieces.append(_piece(cell, worth))
    return [_piece(shown[0], sum(points.values())), *reversed(pieces)]


def _piece(cell, points):
    return Piece(cell.role or cell.kind, cell.source.replace("{points}", f"{points:g}"))
