"""Processes that compute together: started once, asked often, gone when you are.

A `Group` starts fresh Python processes, joins them by gloo, the part of torch.distributed that
needs no GPU, and calls one function in all of them. They live on this machine and talk over its
loopback, so nobody else can listen.

Functions travel by cloudpickle: by name where the workers can import them, and as code where they
stand in a notebook's cell, in a script or inside another function.

rank  number of a worker, 0, 1, ...      size  how many workers there are
"""

import linecache
import multiprocessing
import pickle
import shutil
import signal
import tempfile
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path

import cloudpickle
import torch
import torch.distributed as dist

from dlcourse import _checks
from dlcourse.parallel._serving import serve

LAST_WORDS = 2_000  # characters that an error quotes of what a worker printed


class WorkerError(RuntimeError):
    """A worker failed, died, or took too long. The group it belonged to is closed."""


class Group:
    """`n_workers` processes that call functions together; use it as a context manager.

    Each process computes with one thread. `timeout_seconds` limits every wait: for the start, for
    an answer, and inside the workers for one another. Close the group, or let it go out of scope,
    and the processes end; they also end when this process does, however it ends.

    Raises `ValueError` unless `n_workers` is at least 1, and `WorkerError` if a worker does not
    come up.

    >>> with Group(2) as group:
    ...     group.run(sum_of_ranks)
    ...     group.run(lambda x: x + 1, 41)
    [1, 1]
    [42, 42]
    """

    def __init__(self, n_workers: int, timeout_seconds: float = 120.0):
        _checks.positive(timeout_seconds, "timeout_seconds")
        if _checks.count(n_workers, "n_workers", least=0) < 1:
            raise ValueError(f"`n_workers` must be at least 1, got {n_workers!r}.")
        self.n_workers, self.timeout_seconds = n_workers, timeout_seconds
        self.folder = Path(tempfile.mkdtemp(prefix="dlcourse-"))
        context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads half
        self.connections, self.processes = [], []
        self.close = weakref.finalize(self, _end, self.processes, self.connections, self.folder)
        try:
            for rank in range(n_workers):
                ours, theirs = context.Pipe()
                settings = (rank, n_workers, self.folder, timeout_seconds)
                process = context.Process(target=serve, args=(theirs, *settings), daemon=True)
                process.start()
                theirs.close()  # so that the end of the process ends the connection
                self.connections.append(ours)
                self.processes.append(process)
            self._answers("the start")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        state = "ready" if self.close.alive else "closed"
        return f"Group of {self.n_workers} processes, {state}"

    def run(self, function: Callable, *arguments) -> list:
        """Call `function(*arguments)` in every worker; the results in the order of the ranks.

        Function, arguments and results are copied; a function that stands in a cell takes what it
        uses of the cells along. Raises `ValueError` for what cannot be copied, and `WorkerError`,
        with what the worker said, as soon as one of them fails.
        """
        if not self.close.alive:
            raise WorkerError(f"The group is closed. Start another: `Group({self.n_workers})`.")
        if not callable(function):
            raise ValueError(
                f"`function` must be a function, got {function!r}. Arguments come after it: "
                "`group.run(function, argument)`."
            )
        task, message = f"`{_name(function)}`", _packed_call(function, arguments)
        try:
            for ours in self.connections:
                with suppress(OSError):  # it died since the last call: its answer will say so
                    ours.send_bytes(message)
            return self._answers(task)
        except BaseException:
            self.close()
            raise

    def _answers(self, task):
        """One answer from every worker, or what went wrong first as a `WorkerError`.

        A worker that has lost a partner says so before the partner's end is seen here, so its
        complaint is set aside until another worker's error or end explains it. An end is read from
        the process itself: how long it takes depends on how busy the machine is.
        """
        answers, complaints, ended = {}, {}, set()
        deadline = time.monotonic() + self.timeout_seconds
        while len(answers) + len(complaints) < self.n_workers:
            silent = set(range(self.n_workers)) - answers.keys() - complaints.keys()
            watched = {self.processes[rank].sentinel: rank for rank in silent}
            watched |= {self.connections[rank]: rank for rank in silent - ended}
            ready = connection.wait(watched, timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                break
            for ours in set(ready) - {process.sentinel for process in self.processes}:
                rank = watched[ours]
                try:
                    kind, answer = pickle.loads(ours.recv_bytes())
                except (EOFError, OSError):
                    ended.add(rank)  # or about to: the sentinel says when, and how
                    continue
                if kind == "error":
                    raise self._failure(self._raised(rank, answer, task))
                (answers if kind == "result" else complaints)[rank] = answer
            for rank in (ended | {watched[one] for one in ready}) - answers.keys():
                if rank not in complaints and self.processes[rank].exitcode is not None:
                    raise self._failure(self._end_of(rank, task), self._last_words(rank))
        if complaints:
            raise self._failure(self._raised(*next(iter(complaints.items())), task))
        if len(answers) < self.n_workers:
            raise self._failure(
                f"No answer from {task} within {self.timeout_seconds:g} seconds: do all workers "
                "take part in every exchange? If it is only slow, give the group a larger "
                "`timeout_seconds`."
            )
        return [answers[rank] for rank in range(self.n_workers)]

    def _raised(self, rank, words, task):
        return f"Worker {rank} of {self.n_workers} failed in {task}:\n{words.strip()}"

    def _end_of(self, rank, task):
        code = self.processes[rank].exitcode
        how = f"ended with exit code {code}" if code >= 0 else _killed(-code)
        return f"Worker {rank} of {self.n_workers} {how} during {task}."

    def _failure(self, text, last_words=None):
        """The error to raise, the group closed."""
        self.close()
        if last_words is not None:
            text += f" Its last words: {last_words}"
        return WorkerError(
            f"{text}\nThe group is closed. Start another: `Group({self.n_workers})`."
        )

    def _last_words(self, rank):
        log = self.folder / f"{rank}.log"
        words = log.read_text(errors="replace").strip()[-LAST_WORDS:] if log.exists() else ""
        return words or "none"


def sum_of_ranks() -> int:
    """The sum of the ranks of all workers, by one all-reduce: the smallest job there is."""
    rank = torch.tensor(dist.get_rank())
    dist.all_reduce(rank)
    return int(rank)


def _name(function):
    """The function's name as a message shows it: without a module if it stands in a cell."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    module = getattr(function, "__module__", None)
    return name if module in (None, "__main__") else f"{module}.{name}"


def _packed_call(function, arguments):
    """The call as bytes, and the text of the cells, which a traceback in a worker quotes."""
    # What was typed in has no file, and so no time of change.
    cells = {name: entry for name, entry in linecache.cache.items() if entry[1:2] == (None,)}
    try:
        return cloudpickle.dumps((function, arguments, cells))
    except Exception as error:
        raise ValueError(
            f"`{_name(function)}` and its arguments must be copied to the workers, and cannot: "
            f"{error}. Locks, sockets and generators stay here: make them inside the function."
        ) from error


def _killed(number):
    name = signal.Signals(number).name
    hint = ", as happens when memory runs out," if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


def _end(processes, connections, folder):
    """End every process, kindly first, and remove their folder."""
    for ours in connections:
        ours.close()  # an idle worker reads this as the end
    deadline = time.monotonic() + 2
    for step in (lambda p: None, lambda p: p.terminate(), lambda p: p.kill()):
        for process in processes:
            step(process)
        for process in processes:
            process.join(timeout=max(0.1, deadline - time.monotonic()))
        processes = [process for process in processes if process.is_alive()]
        deadline = time.monotonic() + 2
    shutil.rmtree(folder, ignore_errors=True)
