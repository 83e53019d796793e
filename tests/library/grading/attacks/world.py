"""What surrounds a grading: secrets to read, siblings and results to spoil, sockets to reach.

An attack is judged by its harms, whichever grader it meets:

mark     points that its functions have not earned
leak     a planted secret, or a hidden input, in what the student sees
left     a process or file that outlives the submission
spoiled  results, siblings or the package changed
broken   the grading of this submission, or of the honest one after it, came to nothing
time     the submission took longer than it may
memory   more memory, processes, threads or output than it may have
network  a connection reached a socket outside
forged   a test got a value that no function returned
"""

import os
import resource
import secrets
import shutil
import socket
import tempfile
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from dlcourse.grading.sandbox.execution import Limits, StudentFailure
from tests.library.grading.attacks import homework

LIMITS = Limits(
    notebook_cpu_seconds=1.0,
    notebook_wall_seconds=3.0,
    call_cpu_seconds=0.2,
    call_wall_seconds=2.0,
    submission_wall_seconds=6.0,
    memory_bytes=128 * 2**20,
    output_bytes=20_000,
    plot_bytes=200_000,
    plot_pixels=40_000_000,
    n_plots=50,
    n_processes=8,
    file_bytes=2**20,
    n_restarts=1,
)
# For what is to succeed: a busy machine may take its time over it.
WIDE = replace(
    LIMITS,
    notebook_cpu_seconds=60.0,
    notebook_wall_seconds=120.0,
    call_cpu_seconds=60.0,
    call_wall_seconds=120.0,
    submission_wall_seconds=120.0,
)
WITHHELD = ("dlcourse.losses", "dlcourse.optim", "scipy.optimize")  # they answer a question
NEXT = [homework.HONEST, homework.LISTING]  # what is graded after an attack
BUSY_SECONDS = 120.0  # that a busy machine may take for what the grader itself does
MOST_GROWTH_BYTES = 200 * 2**20  # of the grader, by one submission
MARKER = "forged-by-attack"
LEFT_NAME = "left-by-attack"


@dataclass(frozen=True)
class Attack:
    """A hostile submission: `cells`, the harm it wants, the weak grader that it works against.

    honest_mark is what its functions earn by themselves; at_design marks an attack on this very
    design rather than on graders in general.
    """

    name: str
    kind: str
    wants: str
    harm: str
    weak: str
    cells: tuple[str, ...]
    honest_mark: int = 0
    at_design: bool = False


def attacks() -> list[Attack]:
    """The suite, from attacks.toml."""
    table = tomllib.loads(Path(__file__).with_name("attacks.toml").read_text())
    return [Attack(**{**row, "cells": tuple(row["cells"])}) for row in table["attack"]]


def most_seconds(limits: Limits) -> float:
    """The last start may begin as the time of a submission runs out."""
    return limits.submission_wall_seconds + limits.notebook_wall_seconds


@dataclass
class Report:
    """What came of grading one submission."""

    mark: int = 0
    feedback: str = ""  # all that the student gets to see
    values: list = field(default_factory=list)
    n_bytes: int = 0  # of captured output
    plots: list = field(default_factory=list)
    grown_bytes: int = 0  # more memory than the grader ever had before
    seconds: float = 0.0
    failure: str = ""


class World:
    """The surroundings of one grading; a context manager, for all of it is removed again."""

    def __init__(self, living: Callable[[], set[int]], limits: Limits, most_seconds: float):
        """`living()` gives the processes that could be left; `limits` are the grader's."""
        self.living, self.limits, self.most_seconds = living, limits, most_seconds
        # A secret that was in the environment from the start is also in /proc/self/environ.
        self.secret = os.environ.get("WORLD_SECRET", f"canary{secrets.token_hex(8)}")

    def __enter__(self):
        self.had_secret = "WORLD_SECRET" in os.environ
        self.directory = Path(tempfile.mkdtemp(prefix="world-"))
        self.directory.chmod(0o755)
        self.paths = {
            "SECRET": self.directory / "hidden_tests.py",
            "SIBLING": self.directory / "sibling.py",
            "STORE": self.directory / "grades.sqlite",
            "HOME": self.directory / "home",
        }
        self.paths["SECRET"].write_text(f"# {self.secret}\n")
        self.paths["SIBLING"].write_text(f"# {self.secret}\n{homework.HONEST}")
        self.paths["STORE"].write_text("mark,0\n")
        self.paths["HOME"].mkdir()
        self.before = self._contents()
        self.shm = Path("/dev/shm") / f"world-{self.secret}"
        self.shm.write_text(self.secret)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0{self.secret}-socket")
        self.abstract.listen()
        for listener in (self.tcp, self.abstract):
            listener.setblocking(False)
        os.environ["WORLD_SECRET"] = self.secret
        self.were_living = self.living()
        return self

    def __exit__(self, *_):
        if not self.had_secret:
            del os.environ["WORLD_SECRET"]
        self.tcp.close()
        self.abstract.close()
        self.shm.unlink(missing_ok=True)
        shutil.rmtree(self.directory)
        for path in self._left_behind():
            path.unlink()

    def fill(self, cells):
        """The cells with the names of this world: an attacker knows where things are."""
        names = {f"@{name}@": str(path) for name, path in self.paths.items()}
        names["@PORT@"] = str(self.tcp.getsockname()[1])
        names["@ABSTRACT@"] = f"{self.secret[6:]}"
        names["@MARKER@"], names["@LEFT@"] = MARKER, LEFT_NAME
        filled = []
        for cell in cells:
            for name, text in names.items():
                cell = cell.replace(name, text)
            filled.append(cell)
        return filled

    def _contents(self):
        return {p: p.read_bytes() for p in self.directory.rglob("*") if p.is_file()}

    def _left_behind(self):
        places = (Path("/tmp"), Path("/dev/shm"), Path("/var/tmp"))
        return [path for place in places for path in place.glob(f"*{LEFT_NAME}*")]

    def harms(self, attack: Attack, report: Report, next_report: Report) -> set[str]:
        """The harms that `attack` has done, from what is there to see."""
        now = self._contents()
        seen = {
            "mark": report.mark > attack.honest_mark,
            "leak": self.secret in report.feedback or "hidden input" in report.feedback,
            "left": bool(self._left_behind() or now.keys() - self.before.keys())
            or LEFT_NAME in next_report.feedback
            or bool(self.living() - self.were_living),
            "spoiled": any(now.get(path) != text for path, text in self.before.items()),
            "broken": bool(report.failure) or next_report.mark != homework.FULL_MARK,
            "time": report.seconds > self.most_seconds,
            "memory": "took too much" in report.feedback
            or report.n_bytes > 4 * self.limits.output_bytes + self.limits.plot_bytes
            or _unfolds(report.plots, self.limits)
            or report.grown_bytes > MOST_GROWTH_BYTES,
            "network": self._was_reached(),
            "forged": any(MARKER in repr(value)[:200] for value in report.values),
        }
        return {harm for harm, is_done in seen.items() if is_done}

    def _was_reached(self):
        n_connections = 0
        for listener in (self.tcp, self.abstract):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                continue
            connection.close()
            n_connections += 1
        return n_connections > 0


class Recorder:
    """A student whose answers are kept, to tell afterwards where they came from."""

    def __init__(self, student, values):
        self._student, self._values = student, values

    def __getattr__(self, name):
        function = getattr(self._student, name)
        return RecordedFunction(function, self._values)


class RecordedFunction:
    def __init__(self, function, values):
        self.function, self.values = function, values

    def __call__(self, *args):
        self.values.append(self.function(*args))
        return self.values[-1]

    def with_args(self, *args):
        result, arguments = self.function.with_args(*args)
        self.values.append(result)
        return result, arguments


def processes() -> dict[int, int]:
    """Parent of each process that is visible and not yet dead."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(path.parent.name)] = int(parent)
    return parents


def descendants(pid: int | None = None) -> set[int]:
    """Processes that process `pid` (this one) has started, and those that they have."""
    pid = pid or os.getpid()
    parents, found = processes(), {pid}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return found - {pid}


def mark(student) -> tuple[int, list[str]]:
    """Points of the hidden tests, and the names of those that failed."""
    failed = []
    for test in homework.TESTS:
        try:
            test(student, np.random.default_rng(secrets.randbits(64)))
        except (AssertionError, StudentFailure, TypeError, ValueError):
            failed.append(test.__name__)
    return len(homework.TESTS) - len(failed), failed


def grade(executor, cells) -> Report:
    """Grade one submission in the sandbox; `failure` is what no submission may cause."""
    report, start, had = Report(), time.monotonic(), _most_memory()
    try:
        with executor.run(cells, seed_material=b"attack") as student:
            texts = [f"{o.stdout}{o.stderr}{o.error}" for o in student.outcomes]
            report.n_bytes = sum(map(len, texts))
            report.plots = [plot for o in student.outcomes for plot in o.plots]
            report.n_bytes += sum(map(len, report.plots))
            report.mark, failed = mark(Recorder(student, report.values))
            report.feedback = "\n".join([*texts, *failed])
    except Exception as error:
        report.failure = repr(error)
    report.seconds = time.monotonic() - start
    report.grown_bytes = _most_memory() - had
    return report


def grade_next(executor) -> Report:
    """Grade the honest submission, with any time that it needs: marks do not depend on it."""
    limits, executor.limits = executor.limits, WIDE
    try:
        return grade(executor, NEXT)
    finally:
        executor.limits = limits


def _unfolds(plots, limits):
    """Whether looking at the pictures takes far more than holding them."""
    sides = [(int.from_bytes(p[16:20], "big"), int.from_bytes(p[20:24], "big")) for p in plots]
    n_pixels = sum(width * height for width, height in sides)
    is_film = any(kind in plot for plot in plots for kind in (b"acTL", b"zTXt"))
    return n_pixels > limits.plot_pixels or len(plots) > limits.n_plots or is_film


def _most_memory():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
