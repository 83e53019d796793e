"""The runner of the grader without its walls, for the rehearsal of a student on any system.

Cells, calls, encoding and limits are those of the sandbox. What only a sandbox can refuse is
refused as far as Python itself sees it. No mark is ever given here.
"""

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from dlcourse.grading.sandbox.allowance import Delays
from dlcourse.grading.sandbox.execution import Executor
from dlcourse.grading.sandbox.protocol import frame_length, pack, unpack
from dlcourse.grading.sandbox.watched import WatchedRun

ONE_THREAD = dict.fromkeys(("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
SETTINGS = {"MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
SETTINGS["MALLOC_ARENA_MAX"] = "2"  # as in the sandbox: threads take less of the limited memory
UNPROTECTED = "unprotected"


class UnprotectedRun(WatchedRun):
    """The notebook tells by itself where it stands: not every system has signals."""

    tells = "by itself"

    def _ask(self):
        pass

    def _connected(self):
        return self.fork


class Unprotected(Executor):
    """An executor whose notebooks run in ordinary processes; `own` folders are out of reach."""

    def __init__(self, *args, own=(), **kwargs):
        super().__init__(*args, **kwargs)
        self.own = own

    def __enter__(self):
        self.zygote = Processes(
            self.limits,
            {
                "with_torch": self.with_torch,
                "withheld": self.hidden_modules,
                "own": [str(folder) for folder in self.own],
                "n_threads": self.limits.n_processes,
                "memory_bytes": self.limits.memory_bytes,
            },
        )
        return self


class Processes:
    """In the place of a zygote: each fork is a new process, in an empty folder of its own."""

    isolation = UNPROTECTED

    def __init__(self, limits, settings: dict):
        self.limits, self.settings = limits, settings

    def spawn(self) -> "Process":
        return Process(self.settings)

    def end(self, process: "Process") -> int:
        process.kill()
        status = process.popen.wait()
        process.close()
        return -status if status < 0 else status << 8  # as waitpid(2) has it

    def is_alive(self) -> bool:
        return True

    def was_out_of_memory(self) -> bool:
        return False

    def close(self):
        """Nothing outlives its submission."""


class Process:
    """One process with the notebook, in the place of a fork and of the channel to it."""

    def __init__(self, settings):
        self.folder = Path(tempfile.mkdtemp(prefix="dlcourse-"))
        path = os.pathsep.join(entry for entry in sys.path if entry)
        module = "dlcourse.grading.sandbox.inside.unprotected"
        self.popen = subprocess.Popen(
            [sys.executable, "-P", "-m", module, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, **ONE_THREAD, **SETTINGS, "PYTHONPATH": path},
        )
        self.host_pid, self.cpu = self.popen.pid, 0.0
        self.delays = Delays(self.popen.pid)
        self.messages = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def cpu_seconds(self) -> float:
        """As the process last said."""
        return self.cpu

    def has_ended(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        return self.popen.poll() is not None

    def kill(self):
        self.popen.kill()

    def close(self):
        for pipe in (self.popen.stdin, self.popen.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, message, patience):
        """As `protocol.Channel.send`."""
        writing = threading.Thread(target=self._write, args=(pack(message),), daemon=True)
        writing.start()
        while writing.is_alive():
            writing.join(patience())

    def receive(self, patience):
        """As `protocol.Channel.receive`."""
        while True:
            with contextlib.suppress(queue.Empty):
                message = self.messages.get(timeout=patience())
                if isinstance(message, Exception):
                    self.messages.put(message)  # it stays so
                    raise message
                return message

    def has_unread(self) -> bool:
        """Nobody here forges an answer."""
        return False

    def _write(self, data):
        with contextlib.suppress(OSError, ValueError):  # its end is read as one
            self.popen.stdin.write(data)
            self.popen.stdin.flush()

    def _read(self):
        try:
            while True:
                message = unpack(self._exactly(frame_length(self._exactly(4))))
                self.cpu = max(self.cpu, message.get("cpu", 0.0))
                self.messages.put(message)
        except Exception as error:
            self.messages.put(error)

    def _exactly(self, n_bytes):
        data = self.popen.stdout.read(n_bytes)
        if len(data) < n_bytes:
            raise EOFError("The process has ended.")
        return data
