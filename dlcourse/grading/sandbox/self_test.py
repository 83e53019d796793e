"""Proof, before each run, that the sandbox of this machine holds: it must fail to do harm.

A sandbox that is installed is not yet one that works. So probes run inside it as a submission
would. Each has a control, something harmless that must succeed, for a probe that cannot run at
all would prove nothing. What nobody may see is tried for itself: the very bundle, hand-ins and
output of this run, the masters of the course, the modules that answer a question.
"""

import itertools
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dlcourse.grading.sandbox import files
from dlcourse.grading.sandbox.failures import (
    CallTimeout,
    SandboxUnavailable,
    StudentError,
    StudentFailure,
)
from dlcourse.grading.sandbox.host import START_SECONDS, Zygote
from dlcourse.grading.sandbox.proxy import Student
from dlcourse.grading.sandbox.scratch import scratch
from dlcourse.grading.sandbox.submission_run import SubmissionRun

SPIN_CPU_SECONDS = 0.05
MOST_PROBED = 2_000  # files of a folder: where one is out of reach, its neighbours are
_AT_ONCE = 200
_EVERYWHERE = ("PWD", "LC_CTYPE")  # Python and the shell set them wherever they start
_GRADERS = ("dlcourse.grading.master", "dlcourse.grading.release", "dlcourse.grading.marking")
PROBES = """
import importlib, os, socket, sys, threading

def read(path):
    with open(path) as file:
        return file.read(64)

def write(path):
    with open(path, "w") as file:
        return file.write("left behind")

def in_reach(paths):
    found = {}
    for path in paths:
        try:
            if os.path.isdir(path):
                found[path] = os.listdir(path)
            else:
                open(path, "rb").close()
                found[path] = None
        except OSError:
            pass
    return found

def load(name):
    for withheld in [n for n, module in sys.modules.items() if module is None]:
        del sys.modules[withheld]
    if importlib.import_module(name).__spec__.origin is None:
        raise ImportError("an empty folder")

def environment():
    return dict(os.environ)

def open_socket(kind):
    socket.socket(getattr(socket, kind)).close()

def start_process():
    if os.fork() == 0:
        os._exit(0)

def start_threads(number):
    stop = threading.Event()
    try:
        for _ in range(number):
            threading.Thread(target=stop.wait, daemon=True).start()
    finally:
        stop.set()

def signal_process(pid):
    os.kill(pid, 0)

def take_memory(n_bytes):
    return len(bytearray(n_bytes))

def spin():
    while True:
        pass
"""


def prove(zygote: Zygote):
    """Raise SandboxUnavailable, naming what is open, unless every probe is held."""
    masters = sorted((files.PACKAGE.parent / "homework").glob("*/master.ipynb"))
    with scratch() as directory:
        directory.chmod(0o755)
        planted = directory / "secret"
        planted.write_text(secrets.token_hex(8))
        planted.chmod(0o644)
        unseen = [planted, *masters, *zygote.private]
        _in_a_fork(zygote, lambda student: _probe_files(zygote, student, unseen))
    _in_a_fork(zygote, lambda student: _probe(zygote, student))
    _in_a_fork(zygote, lambda student: _probe_what_is_left(zygote, student), SPIN_CPU_SECONDS)


def _in_a_fork(zygote, probe: Callable[[Student], None], cpu_seconds=START_SECONDS):
    limits = replace(
        zygote.limits,
        call_cpu_seconds=cpu_seconds,
        call_wall_seconds=START_SECONDS,  # on a busy machine a proof takes longer, and holds
        notebook_cpu_seconds=START_SECONDS,
        notebook_wall_seconds=START_SECONDS,
        submission_wall_seconds=START_SECONDS,
        n_restarts=0,
    )
    run = SubmissionRun(zygote, [PROBES], b"self-test", limits)
    try:
        run.start()
        student = Student(run.outcomes, run.names, run.call)
        student.read(str(zygote.shown(Path(__file__))))
        probe(student)
    except StudentFailure as failure:  # of a control
        raise SandboxUnavailable(f"{zygote.isolation}: the probes cannot run: {failure}") from None
    finally:
        run.end()
    try:
        os.kill(run.last_host_pid, 0)
    except ProcessLookupError:
        return
    raise SandboxUnavailable(f"{zygote.isolation}: a process outlived its submission")


def _probe(zygote, student):
    own = str(zygote.shown(Path(__file__)))
    student.write(os.devnull)
    student.take_memory(1000)
    student.start_threads(1)
    too_much, too_many = 2 * zygote.limits.memory_bytes, 2 * zygote.limits.n_processes + 8
    _must_fail(zygote, "read what runs on this machine", student.read, "/proc/self/environ")
    _must_fail(zygote, "write to the package", student.write, own)
    _must_fail(zygote, "open a socket to the network", student.open_socket, "AF_INET")
    _must_fail(zygote, "open a socket on this machine", student.open_socket, "AF_UNIX")
    _must_fail(zygote, "start a process", student.start_process)
    _must_fail(zygote, "signal the grader", student.signal_process, os.getpid())
    _must_fail(zygote, "take too much memory", student.take_memory, too_much)
    if zygote.counts_own_threads:
        _must_fail(zygote, "start too many threads", student.start_threads, too_many)
    for name in (*zygote.withheld, *_GRADERS):
        _must_fail(zygote, f"import {name}", student.load, name)
    inside, given = student.environment(), {*zygote.environment(), *_EVERYWHERE}
    leaked = [n for n, text in os.environ.items() if n not in given and inside.get(n) == text]
    if leaked:
        raise SandboxUnavailable(f"{zygote.isolation}: it shows the grader's {leaked}")
    if zygote.isolation == "bubblewrap":
        student.write("/tmp/left")


def _probe_files(zygote, student, paths):
    """None of `paths`, nor what lies in them, may be read or listed."""
    if lying := files.shared_with(paths):
        raise SandboxUnavailable(
            f"{zygote.isolation}: {lying[0]} lies in a folder of libraries, which every notebook "
            "is shown. Move it out of there."
        )
    paths = dict.fromkeys(p for path in paths for p in (path, files.real(path)))
    below = (p for path in paths for p in itertools.islice(_below(path), MOST_PROBED))
    places = {str(place): path for path in below for place in (path, zygote.shown(path))}
    for start in range(0, len(places), _AT_ONCE):
        found = student.in_reach([*places][start : start + _AT_ONCE])
        for place, names in found.items():
            if names is None or {*names} - _ways_to_libraries(places[place]):
                raise SandboxUnavailable(
                    f"{zygote.isolation}: it can read a file of the grader, {places[place]}"
                )


def _below(path):
    """`path`, and what lies nearest in it, but no library and no link to one."""
    level = [path]
    while level:
        yield from level
        entries = [
            entry for folder in filter(_is_open, level) for entry in sorted(folder.iterdir())
        ]
        libraries = {*files.shared_with(entries)}
        level = [entry for entry in entries if entry not in libraries]


def _is_open(path):
    return path.is_dir() and not path.is_symlink() and os.access(path, os.R_OK | os.X_OK)


def _ways_to_libraries(folder):
    """Names in a private folder that lead to libraries, as where a virtual environment is in it."""
    inside = (path for path in files.visible() if path.is_relative_to(folder))
    return {path.relative_to(folder).parts[0] for path in inside if path != folder}


def _must_fail(zygote, what, attempt, *arguments):
    try:
        attempt(*arguments)
    except StudentError:
        return
    except StudentFailure as failure:
        raise SandboxUnavailable(
            f"{zygote.isolation}: no proof that it cannot {what}: {failure}"
        ) from None
    raise SandboxUnavailable(f"{zygote.isolation}: it can {what}")


def _probe_what_is_left(zygote, student):
    _must_fail(zygote, "find files of an earlier submission", student.read, "/tmp/left")
    try:
        student.spin()
    except CallTimeout:
        return
    raise SandboxUnavailable(f"{zygote.isolation}: an endless loop came to its end")
