"""A notebook without a sandbox: the process that `sandbox.unprotected` starts on any system.

It refuses what it can see of what a sandbox would refuse, so that a student learns of it. That
protects against nothing: whoever wants to gets around it.
"""

import _thread
import contextlib
import json
import os
import sys
import threading
from pathlib import Path

from dlcourse.grading.sandbox.inside import cells
from dlcourse.grading.sandbox.inside.withheld import withhold
from dlcourse.grading.sandbox.protocol import Pipe

PROGRAMS = ("subprocess.Popen", "os.system", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec")
PROGRAMS += ("os.startfile", "pty.spawn")
TELLER_BYTES = 136 * 2**20  # address space of the thread that tells: its stack, its share of malloc
NETWORK = ("socket.__new__", "socket.connect", "socket.getaddrinfo")


class TwoWays(Pipe):
    """One pipe to read and one to write, from any thread."""

    def __init__(self, reading: int, writing: int):
        super().__init__(reading)
        self.writing, self.lock = Pipe(writing), threading.Lock()

    def send(self, message):
        with self.lock:
            self.writing.send(message)


def confine(settings: dict):
    """Refuse programs, the network and the student's files from now on."""
    own = tuple(os.path.join(os.path.abspath(folder), "") for folder in settings["own"])
    libraries = tuple({sys.prefix, sys.base_prefix, *filter(None, sys.path), os.getcwd()})

    def refuse(event, args):
        if event in PROGRAMS:
            raise PermissionError("no program can be started where homework is graded")
        if event in NETWORK:
            raise PermissionError("there is no network where homework is graded")
        if event == "open" and isinstance(args[0], str | bytes):
            path = os.path.abspath(os.fsdecode(args[0]))
            settings_of_library = f"{os.sep}." in path  # such as ~/.config
            is_own = path.startswith(own) and not settings_of_library
            if path.startswith("/proc/") or (is_own and not path.startswith(libraries)):
                raise FileNotFoundError(f"{path} is not there where homework is graded")

    sys.addaudithook(refuse)


def limit_threads(n_threads: int):
    """No more than so many, beside the one that tells where the notebook stands."""
    start = _thread.start_new_thread

    def limited(*args):
        if len(sys._current_frames()) - 1 >= n_threads:
            raise RuntimeError("can't start new thread")
        return start(*args)

    threading._start_new_thread = _thread.start_new_thread = limited


def limit_memory(n_bytes: int):
    """At most so much beyond what is taken already, where the system can say and limit it."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        n_pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = n_pages * resource.getpagesize() + n_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def warm_up(with_torch):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.show = lambda *args, **kwargs: None
    if with_torch:
        import torch

        torch.set_num_threads(1)


def main(settings: dict):
    """Serve the notebook that comes on standard input; its own output goes nowhere."""
    pipe = TwoWays(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    withhold(settings["withheld"])
    warm_up(settings["with_torch"])
    os.environ |= {"HOME": os.getcwd(), "USERPROFILE": os.getcwd(), "USER": "student"}
    limit_memory(settings["memory_bytes"] + TELLER_BYTES)
    limit_threads(settings["n_threads"])
    confine(settings)
    pipe.send({"ready": os.getpid()})
    with contextlib.suppress(EOFError):
        cells.serve(pipe)
    os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
