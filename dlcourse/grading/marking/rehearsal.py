"""What a grader will say, before hand-in: the notebook is graded by its visible tests.

The road is the grader's own: `submission.read`, `grade`, and an `Executor` with the same limits in
the same sandbox where this machine has one. The homework is what the notebook itself carries. Where
there is no sandbox the same runner goes without; this is the student's machine and own code.
"""

import contextlib
import importlib.util
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dlcourse.grading.explaining import Place, Raised
from dlcourse.grading.feedback import Feedback
from dlcourse.grading.marking import submission
from dlcourse.grading.marking.grade import NotGraded, grade
from dlcourse.grading.marking.packages import imported, not_brought
from dlcourse.grading.marking.visible import Visible, added_lines, loading_cell
from dlcourse.grading.recording import overheard
from dlcourse.grading.release import INSTALL
from dlcourse.grading.sandbox.execution import Executor
from dlcourse.grading.sandbox.failures import MissingFunction, SandboxUnavailable, StudentError
from dlcourse.grading.sandbox.inside.magics import plain_python
from dlcourse.grading.sandbox.limits import Limits
from dlcourse.grading.sandbox.unprotected import UNPROTECTED, Unprotected, UnprotectedRun
from dlcourse.grading.sandbox.watched import WatchedRun

AT = re.compile(r"\((?:cell (\d+)|<cell (\d+)>), line (\d+)\)$")
ENDING = re.compile(r"\b(_exit|abort|kill|raise_signal)\(")
ENDS = {"TimeLimit": "was stopped.", "Crash": "ends the notebook.", "NotRun": "was not run."}
NETWORK = {"aiohttp", "ftplib", "http.client", "httpx", "paramiko", "requests", "smtplib", "socket"}
NETWORK |= {"urllib.request", "urllib3", "websockets", "yfinance"}
MAGIC = re.compile(r"!|%pip|%conda|%run|%load|%cd|%%bash|%%sh|%%writefile")
WITHOUT_WALLS = (
    "This machine has no sandbox, so the notebook ran without one. What only a sandbox refuses may "
    "have gone unnoticed: programs, threads, memory, files and the network."
)
LANDLOCK = (
    "The sandbox of this machine is Landlock, in which no file can be written. Your grader's may "
    "allow that in the current folder."
)


@dataclass
class Rehearsal:
    """What was found. The notebook is ready if a grader would give all visible points."""

    homework: str = ""
    problems: list[str] = field(default_factory=list)  # that cost points, or the whole hand-in
    remarks: list[str] = field(default_factory=list)  # that do not
    questions: tuple[Feedback, ...] = ()

    @property
    def n_passed(self) -> int:
        return sum(question.is_passed for question in self.questions)

    @property
    def is_ready(self) -> bool:
        return not self.problems and self.n_passed == len(self.questions) > 0

    @property
    def earned(self) -> float:
        return sum(question.earned for question in self.questions)

    @property
    def points(self) -> float:
        return sum(question.points for question in self.questions)


def rehearse(path, tell: Callable[[str], None] = lambda now: None) -> Rehearsal:
    """Grade the notebook at `path` by its visible tests; `tell` hears what goes on.

    Raises `OSError` if the file cannot be read.
    """
    path = Path(path)
    data = _bytes_of(path)
    found = Rehearsal(submission.homework_of(data))
    if path.suffix.lower() != ".ipynb":
        found.problems.append(f"The file must be called something.ipynb, not {path.name}.")
    handed_in = submission.read(data)
    if not handed_in.is_gradable:
        found.problems.append(handed_in.message)
        return found
    if not found.homework:
        found.problems.append(
            "The notebook does not say which homework it is. Start from the one you were given."
        )
    visible, problem = _visible(handed_in.cells)
    if problem:
        found.problems.append(problem)
        return found
    _look_at(handed_in.cells, visible, found)
    _grade(visible, handed_in, data, (path, tell), found)
    return found


def _bytes_of(path):
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name the notebook in it.")
    try:
        with path.open("rb") as file:
            return file.read(submission.SIZE_LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"No such file: {path}. You are in {Path.cwd()}: go to the folder of your notebook "
            "first, or give its whole path."
        ) from error


def _visible(cells):
    """(visible tests, problem): one of the two."""
    cure = "so there is nothing to grade by. Take it from the original."
    loaded = loading_cell(cells)
    if loaded is None:
        return None, f"The cell that loads the checks is missing, {cure}"
    try:
        return Visible(*loaded), ""
    except Exception as error:  # what it holds is code, which fails in any way when it is cut
        return None, f"The cell that loads the checks is damaged ({error}), {cure}"


def _grade(visible, handed_in, data, place, found):
    path, tell = place
    tell("starting the sandbox")
    with _executor(visible.homework, path.resolve().parent, tell) as executor:
        if executor.isolation_used == UNPROTECTED:
            found.remarks.append(WITHOUT_WALLS)
        elif executor.isolation_used == "landlock":
            found.remarks.append(LANDLOCK)
        try:
            with overheard() as heard:
                result = grade(visible.homework, data, executor)
        except NotGraded as error:
            found.problems.append(f"This machine could not run the notebook: {error}")
            return
    if not result.is_graded:
        found.problems.append(result.message)
        return
    lines = [source.split("\n") for source in handed_in.cells]
    n_tests = sum(len(question.tests) for question in visible.homework.questions)
    went, questions = iter(heard[-n_tests:]), []  # the last ones: a machine that failed is retried
    for graded in result.questions:
        own = [next(went) for _ in graded.tests]
        questions.append(visible.checks.feedback(graded.id, own, lambda e: _raised(e, lines)))
    found.questions = tuple(questions)
    found.problems += [
        f"{question.id}: `{name}` is not defined when the notebook has run."
        for question, feedback in zip(visible.homework.questions, found.questions, strict=True)
        for name in question.functions
        if name not in executor.names and not feedback.problem
    ]
    failures = [*_failures(executor.outcomes, lines)]
    # A grader goes on with the next cell, and takes no points for one that fails.
    (found.remarks if found.is_ready else found.problems).extend(failures)


@contextlib.contextmanager
def _executor(homework, folder, tell) -> Iterator[Executor]:
    """The grader's sandbox, or where none holds the same runner without; keeps what it ran."""
    about = {"with_torch": homework.needs_torch, "hidden_modules": _there(homework.flagged)}
    with contextlib.ExitStack() as stack:
        try:
            heeded = _heeded(Executor, WatchedRun, tell)
            executor = stack.enter_context(heeded(Limits(), **about))
        except SandboxUnavailable:
            own = folder, Path.home()
            heeded = _heeded(Unprotected, UnprotectedRun, tell)
            executor = stack.enter_context(heeded(Limits(), own=own, **about))
        yield executor


def _heeded(kind, run_kind, tell):
    """An executor class that tells where the notebook stands, and keeps its outcomes."""

    class Heeded(kind):
        outcomes, names = (), frozenset()

        @contextlib.contextmanager
        def run(self, cells, *, seed_material):
            self.n_cells = len(cells)
            with super().run(cells, seed_material=seed_material) as student:
                self.outcomes, self.names = student.outcomes, student
                yield student

        def new_run(self, *about):
            run = run_kind(*about)
            run.watch = self.watch
            return run

        def watch(self, position):
            running, cell, line = position
            now = f"code cell {running} of {self.n_cells}" if running else "the visible tests"
            tell(now + (f", at line {line} of cell {cell}" if cell else ""))

    return Heeded


def _there(modules):
    """Those that can be withheld: a notebook of another version may name some that are gone."""
    return [m for m in modules if not m.startswith("dlcourse.") or _is_there(m)]


def _is_there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # neither is what it would lie in
        return False


def _raised(error, lines) -> Raised:
    """An error as the grader got it, with the line of the notebook where it arose."""
    if isinstance(error, MissingFunction):
        return Raised("MissingFunction", str(error), None)
    is_exception = isinstance(error, StudentError)
    text, place = _placed(error.text if is_exception else str(error), lines)
    return Raised(error.type if is_exception else type(error).__name__, text, place)


def _placed(text, lines):
    """(message, place): the line that a message names at its end, with its source."""
    match = AT.search(text)
    if match is None:
        return text, None
    cell, line = int(match[1] or match[2]), int(match[3])
    found = lines[cell - 1][line - 1 : line] if 0 < cell <= len(lines) else []
    return text[: match.start()].strip(), Place(f"code cell {cell}", line, "".join(found).strip())


def _failures(outcomes, lines) -> Iterator[str]:
    """A sentence for each way in which cells failed: cells that failed alike share one."""
    alike = defaultdict(list)
    for number, outcome in enumerate(outcomes, start=1):
        if outcome.error:
            text, place = _placed(outcome.error.text, lines)
            if outcome.error.type == "Crash":
                place = place or _end_of_process(number, lines[number - 1])
            end = ENDS.get(outcome.error.type, f"ends with {outcome.error.type}:")
            alike[f"{end} {text}"].append((number, place))
    for what, cells in alike.items():
        number, place = cells[0]
        if len(cells) == 1:
            yield f"Code cell {number} {what}" + (f" ({place})" if place else "")
        else:
            every = ", ".join(str(number) for number, _ in cells)
            yield f"Code cells {every}, each {what}" + (f" (the first: {place})" if place else "")


def _end_of_process(number, lines):
    """The line that ends the process, if it is one that does so on purpose."""
    found = ((n, line) for n, line in enumerate(lines, start=1) if ENDING.search(line))
    return next((Place(f"code cell {number}", n, line.strip()) for n, line in found), None)


def _look_at(cells, visible, found):
    """What needs no run: what a grader leaves out, and what it does not have."""
    if lines := added_lines(cells[visible.index]):
        found.remarks.append(
            f"Code cell {visible.index + 1} loads the checks, and a grader leaves it out. Put what "
            f"you added in line {lines[0]} into a cell of its own."
        )
    install = "".join(INSTALL.split())[:80]
    for number, source in enumerate(cells, start=1):
        if "".join(source.split()).startswith(install):
            continue
        modules = imported(plain_python(source))
        for module in not_brought(modules, visible.extras):
            found.remarks.append(
                f"Code cell {number} imports {module}, which a grader may not have: no package of "
                "the course needs it."
            )
        for module in modules & NETWORK:
            found.remarks.append(f"Code cell {number} uses {module}: a grader has no network.")
        for n, line in enumerate(source.split("\n"), start=1):
            if MAGIC.match(line.strip()):
                found.remarks.append(
                    f"Code cell {number}, line {n}: a grader skips `{line.strip()[:60]}`."
                )
