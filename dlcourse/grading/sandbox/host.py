"""The grader's side of the sandbox: starts the zygote, asks it for forks, ends them.

A fork is known by a pidfd, a handle that never means another process, whatever numbers the fork
sees inside. Killing it ends its whole namespace.
"""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from dlcourse.grading.sandbox import bubblewrap, cgroups, files
from dlcourse.grading.sandbox.allowance import Delays
from dlcourse.grading.sandbox.failures import SandboxEnded
from dlcourse.grading.sandbox.inside.confine import NOBODY, WRITABLE
from dlcourse.grading.sandbox.limits import MEBIBYTE, Limits
from dlcourse.grading.sandbox.scratch import scratch

START_SECONDS = 120.0  # torch on a cold disk, and a busy machine
_STRANGERS = range(61184, 65520)  # numbers of users that systems keep for passing services


class Fork:
    """One process of a submission, held by its handle."""

    def __init__(self, pid: int, handle: int, channel: socket.socket):
        self.pid, self.handle, self.channel = pid, handle, channel
        self.host_pid = host_pid(handle)
        self.delays = Delays(self.host_pid)

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far, at the resolution of the scheduler."""
        # The clock that clock_getcpuclockid(3) gives for a process.
        return time.clock_gettime((~self.host_pid << 3) | 2)

    def has_ended(self, seconds: float) -> bool:
        """Whether it has ended; waits for it so long at most."""
        poller = select.poll()
        poller.register(self.handle, select.POLLIN)
        return bool(poller.poll(seconds * 1000))

    def kill(self):
        signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    def close(self):
        self.channel.close()
        os.close(self.handle)


def host_pid(handle: int) -> int:
    """Number by which this process knows the process behind the pidfd `handle`."""
    text = Path(f"/proc/self/fdinfo/{handle}").read_text()
    return int(re.search(r"^Pid:\s*(-?\d+)", text, re.MULTILINE).group(1))


def n_threads_of(user: int) -> int:
    """Threads that the user of this number runs now, as far as they can be seen."""
    n_threads = 0
    for path in Path("/proc").glob("[0-9]*/task"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid == user:
                n_threads += len(os.listdir(path))
    return n_threads


def user_of_forks(isolation: str) -> int:
    """Who a fork becomes: root gives way to a user that owns nothing, if there is another one.

    Without namespaces each grader has one of its own, for threads are counted by user.
    """
    if os.getuid() != 0:
        return os.getuid()
    user = NOBODY if isolation == "bubblewrap" else _STRANGERS[os.getpid() % len(_STRANGERS)]
    rows = [[*map(int, row.split())] for row in Path("/proc/self/uid_map").read_text().splitlines()]
    return user if any(first <= user < first + count for first, _, count in rows) else 0


class Zygote:
    """A warm process in its sandbox. `isolation` as in `confine.Confinement`.

    It cannot import the modules `withheld`, and must not reach the absolute paths `private`.
    """

    program = ("dlcourse.grading.sandbox.inside.zygote",)  # a module, and its arguments

    def __init__(
        self,
        isolation: str,
        limits: Limits,
        with_torch: bool,
        withheld: Sequence[str] = (),
        private: Sequence[Path] = (),
    ):
        self.isolation, self.limits, self.private = isolation, limits, private
        self.with_torch, self.withheld = with_torch, tuple(withheld)
        self.hidden_paths = files.hidden(withheld)
        self.user = user_of_forks(isolation)
        self.log = tempfile.TemporaryFile()
        self.group, self.n_memory_kills = None, 0
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(START_SECONDS)
        with scratch() as self.scratch:
            try:
                with theirs:
                    self.process = self._start(theirs.fileno())
                self._await_warmth()
            except BaseException:
                self.close()
                raise

    process: subprocess.Popen | None = None

    def _start(self, descriptor):
        command = [*self.command(), str(descriptor)]
        if self.isolation == "bubblewrap":
            command = [*bubblewrap.prefix(self.environment(), self.hidden_paths), *command]
        with tempfile.TemporaryFile("w+") as settings:
            json.dump(self._settings(), settings)
            settings.seek(0)
            return subprocess.Popen(
                command,
                pass_fds=[descriptor],
                env=self.environment(),
                cwd="/",
                stdin=settings,
                stdout=subprocess.DEVNULL,
                stderr=self.log,
                start_new_session=True,
            )

    def _settings(self):
        readable, listable = [], []
        if self.isolation == "landlock":
            readable, listable = files.without(files.visible(), self.hidden_paths)
        return {
            "isolation": self.isolation,
            "limits": asdict(self.limits),
            "user": self.user,
            "with_torch": self.with_torch,
            "withheld": self.withheld,
            "readable": [*map(str, readable), *files.READ_DEVICES],
            "listable": [*map(str, listable)],
        }

    def command(self) -> list[str]:
        return [str(self.shown(Path(sys.executable))), "-m", *self.program]

    def shown(self, path: Path) -> Path:
        """Where the sandbox has a file of this machine."""
        return bubblewrap.inside(path) if self.isolation == "bubblewrap" else path

    def environment(self) -> dict[str, str]:
        """All that the notebook sees of the environment: nothing of the grader's own."""
        inside = self.isolation == "bubblewrap"
        return {
            "HOME": WRITABLE if inside else str(self.scratch),
            "USER": "student",
            "JOBLIB_MULTIPROCESSING": "0",  # there are no processes to be had
            "LANG": "C.UTF-8",
            "MALLOC_ARENA_MAX": "2",  # an arena takes 64 MB of address space, which is limited
            "MPLCONFIGDIR": WRITABLE if inside else str(self.scratch),
            "MPLBACKEND": "Agg",
            "MKL_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": str(self.shown(files.PACKAGE.parent)),
            "PYTHONSAFEPATH": "1",
            "TORCHINDUCTOR_CACHE_DIR": WRITABLE,
        }

    def _await_warmth(self):
        answer, handle = self._answer()
        if "warm" not in answer:
            raise self._unavailable(answer.get("failed", "it gave no answer"))
        pid = host_pid(handle)
        os.close(handle)
        n_pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        self.address_space_bytes = n_pages * os.sysconf("SC_PAGE_SIZE")
        memory = self.limits.memory_bytes + self.limits.file_bytes + 64 * MEBIBYTE
        self.group = cgroups.around(memory, self.limits.n_processes + 8)
        if self.group:
            self.group.add(pid)

    @property
    def counts_own_threads(self) -> bool:
        """Whether the limit on threads is that of a fork, not one that it shares with the user."""
        return self.isolation == "bubblewrap" or self.user != os.getuid()

    def was_out_of_memory(self) -> bool:
        """Whether the sandbox's own limit of memory has killed a process since the last call."""
        before = self.n_memory_kills
        if self.group:
            self.n_memory_kills = self.group.n_memory_kills()
        return self.n_memory_kills > before

    def is_alive(self) -> bool:
        return self.control.fileno() != -1 and self.process.poll() is None

    def spawn(self) -> Fork:
        """A new fork, confined and waiting for its notebook; raises SandboxUnavailable if none."""
        ours, theirs = socket.socketpair()
        settings = {
            "address_space_bytes": self.address_space_bytes,
            "n_other_threads": 0 if self.isolation == "bubblewrap" else n_threads_of(self.user),
        }
        try:
            with theirs:
                answer, handle = self._ask({"spawn": settings}, [theirs.fileno()])
            if "pid" not in answer:
                raise self._unavailable("it could not fork")
            return Fork(answer["pid"], handle, ours)
        except BaseException:
            ours.close()
            raise

    def end(self, fork: Fork) -> int:
        """Kill the fork and all that it started; its exit status as of waitpid(2).

        The first process of a namespace is gone only after every other in it, so when this
        returns nothing of the submission is left.
        """
        try:
            fork.kill()
            answer, _ = self._ask({"reap": fork.pid}, [])
        finally:
            fork.close()
        return answer["status"]

    def _ask(self, order, descriptors):
        try:
            socket.send_fds(self.control, [json.dumps(order).encode()], descriptors)
        except OSError:
            raise self._unavailable("it has ended") from None
        try:
            return self._answer()
        except BaseException:
            self.control.close()  # or its answer would be taken for that to the next question
            raise

    def _answer(self):
        try:
            data, handles, _, _ = socket.recv_fds(self.control, 2**16, 1)
        except TimeoutError:
            raise self._unavailable("it does not answer") from None
        except OSError:
            data, handles = b"", []
        if not data:
            raise self._unavailable("it has ended")
        return json.loads(data), handles[0] if handles else None

    def _unavailable(self, what):
        self.log.seek(0)
        said = self.log.read()[-2000:].decode(errors="replace").strip()
        return SandboxEnded(f"{self.isolation}: {what}. {said}".strip())

    def close(self):
        """End the zygote and everything in its sandbox."""
        self.control.close()
        if self.process:
            self.process.kill()
            self.process.wait()
        if self.group:
            self._remove_group()
        self.log.close()

    def _remove_group(self):
        deadline = time.monotonic() + START_SECONDS
        while self.group.processes() and time.monotonic() < deadline:
            time.sleep(0.005)
        self.group.remove()
