"""Proof, before each run, that the sandbox of this machine holds: it must fail to do harm.

A sandbox that is installed is not yet one that works. So probes run inside it as a submission
would. Each has a control, something harmless that must succeed, for a probe that cannot run at
all would prove nothing.
"""

import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dlcourse.grading.sandbox.failures import (
    CallTimeout,
    SandboxUnavailable,
    StudentError,
    StudentFailure,
)
from dlcourse.grading.sandbox.host import START_SECONDS, Zygote
from dlcourse.grading.sandbox.proxy import Student
from dlcourse.grading.sandbox.submission_run import SubmissionRun

SPIN_CPU_SECONDS = 0.05
_EVERYWHERE = ("PWD", "LC_CTYPE")  # Python and the shell set them wherever they start
PROBES = """
import os, socket

def read(path):
    with open(path) as file:
        return file.read(64)

def write(path):
    with open(path, "w") as file:
        return file.write("left behind")

def environment():
    return dict(os.environ)

def open_socket(kind):
    socket.socket(getattr(socket, kind)).close()

def start_process():
    if os.fork() == 0:
        os._exit(0)

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
    secret = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="dlcourse-") as directory:
        os.chmod(directory, 0o755)
        planted = Path(directory, "secret")
        planted.write_text(secret)
        planted.chmod(0o644)
        _in_a_fork(zygote, lambda student: _probe(zygote, student, planted))
    _in_a_fork(zygote, lambda student: _find_leftovers(zygote, student))


def _in_a_fork(zygote, probe: Callable[[Student], None]):
    limits = replace(
        zygote.limits,
        call_cpu_seconds=SPIN_CPU_SECONDS,
        call_wall_seconds=START_SECONDS,  # on a busy machine a proof takes longer, and holds
        notebook_wall_seconds=START_SECONDS,
        submission_wall_seconds=START_SECONDS,
        n_restarts=0,
    )
    run = SubmissionRun(zygote, [PROBES], b"self-test", limits)
    try:
        run.start()
        probe(Student(run.outcomes, run.names, run.call))
    finally:
        run.end()
    try:
        os.kill(run.last_host_pid, 0)
    except ProcessLookupError:
        return
    raise SandboxUnavailable(f"{zygote.isolation}: a process outlived its submission")


def _probe(zygote, student, planted):
    own = str(zygote.shown(Path(__file__)))
    if student.take_memory(1000) != 1000 or not student.read(own):
        raise SandboxUnavailable(f"{zygote.isolation}: the probes cannot run")
    too_much = 2 * zygote.limits.memory_bytes
    _must_fail(zygote, "read a file of the grader", student.read, str(planted))
    _must_fail(zygote, "read what runs on this machine", student.read, "/proc/self/environ")
    _must_fail(zygote, "write to the package", student.write, own)
    _must_fail(zygote, "open a socket to the network", student.open_socket, "AF_INET")
    _must_fail(zygote, "open a socket on this machine", student.open_socket, "AF_UNIX")
    _must_fail(zygote, "start a process", student.start_process)
    _must_fail(zygote, "signal the grader", student.signal_process, os.getpid())
    _must_fail(zygote, "take too much memory", student.take_memory, too_much)
    inside, given = student.environment(), {*zygote.environment(), *_EVERYWHERE}
    leaked = [n for n, text in os.environ.items() if n not in given and inside.get(n) == text]
    if leaked:
        raise SandboxUnavailable(f"{zygote.isolation}: it shows the grader's {leaked}")
    if zygote.isolation == "bubblewrap":
        student.write("/tmp/left")
    try:
        student.spin()
    except CallTimeout:
        return
    raise SandboxUnavailable(f"{zygote.isolation}: an endless loop came to its end")


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


def _find_leftovers(zygote, student):
    _must_fail(zygote, "find files of an earlier submission", student.read, "/tmp/left")
