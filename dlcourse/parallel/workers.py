"""Processes that compute together: started once, asked often, gone when you are.

A `Group` starts fresh Python processes, joins them by gloo, the part of torch.distributed that
needs no GPU, and calls one function in all of them. They live on this machine and talk over its
loopback, so nobody else can listen.

rank  number of a worker, 0, 1, ...      size  how many workers there are
"""

import multiprocessing
import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import connection
from pathlib import Path

import torch
import torch.distributed as dist

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
    [1, 1]
    """

    def __init__(self, n_workers: int, timeout_seconds: float = 120.0):
        if n_workers < 1:
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
                process = context.Process(target=_serve, args=(theirs, *settings), daemon=True)
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

        The function must stand in a module that the workers can import. Arguments and results are
        copied. Raises `WorkerError`, with what the worker said, as soon as one of them fails.
        """
        if not self.close.alive:
            raise WorkerError(f"The group is closed. Start another: `Group({self.n_workers})`.")
        name = f"{function.__module__}.{function.__qualname__}"
        if function.__module__ == "__main__" or "<" in name:
            raise ValueError(
                f"`function` must be importable by the workers, got `{name}`, which exists only "
                "in this process. Put it into a module and import it from there."
            )
        message = pickle.dumps((function, arguments))
        try:
            for ours in self.connections:
                ours.send_bytes(message)
            return self._answers(f"`{name}`")
        except OSError as error:  # it died since the last call
            raise self._failure(f"`{name}`", None) from error
        except BaseException:
            self.close()
            raise

    def _answers(self, task):
        """One answer from every worker, or the first failure as a `WorkerError`."""
        answers = {}
        deadline = time.monotonic() + self.timeout_seconds
        while len(answers) < self.n_workers:
            waiting = [c for rank, c in enumerate(self.connections) if rank not in answers]
            ready = connection.wait(waiting, timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                raise self._failure(task, None)
            for ours in ready:
                rank = self.connections.index(ours)
                try:
                    is_result, answers[rank] = pickle.loads(ours.recv_bytes())
                except (EOFError, OSError):
                    raise self._failure(task, None) from None
                if not is_result:
                    raise self._failure(task, (rank, answers[rank]))
        return [answers[rank] for rank in range(self.n_workers)]

    def _failure(self, task, raised):
        """What went wrong first: a death, else what a worker raised, else nobody answered."""
        for process in self.processes:
            process.join(timeout=0.5)  # who lost a partner complains before the partner is gone
        dead = [rank for rank, process in enumerate(self.processes) if process.exitcode is not None]
        end = f"\nThe group is closed. Start another: `Group({self.n_workers})`."
        if dead:
            code = self.processes[dead[0]].exitcode
            how = f"ended with exit code {code}" if code >= 0 else _killed(-code)
            text = f"Worker {dead[0]} of {self.n_workers} {how} during {task}."
            end = f" Its last words: {self._last_words(dead[0])}{end}"
        elif raised:
            rank, words = raised
            text = f"Worker {rank} of {self.n_workers} failed in {task}:\n{words.strip()}"
        else:
            text = (
                f"No answer from {task} within {self.timeout_seconds:g} seconds: do all workers "
                "take part in every exchange? If it is only slow, give the group a larger "
                "`timeout_seconds`."
            )
        self.close()
        return WorkerError(text + end)

    def _last_words(self, rank):
        log = self.folder / f"{rank}.log"
        words = log.read_text(errors="replace").strip()[-LAST_WORDS:] if log.exists() else ""
        return words or "none"


def sum_of_ranks() -> int:
    """The sum of the ranks of all workers, by one all-reduce: the smallest job there is."""
    rank = torch.tensor(dist.get_rank())
    dist.all_reduce(rank)
    return int(rank)


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


def _serve(asked, rank, size, folder, timeout_seconds):
    """What a worker does all its life: answer calls until the connection is closed."""
    _write_to(folder / f"{rank}.log")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the process that asks
    threading.Thread(target=_leave_with_parent, args=(folder,), daemon=True).start()
    try:
        _join(rank, size, folder, timeout_seconds)
        answer = (True, None)
    except Exception:
        answer = (False, traceback.format_exc())
    while True:
        try:
            asked.send_bytes(_packed(answer))
            message = asked.recv_bytes()
        except (EOFError, OSError):
            break
        try:
            function, arguments = pickle.loads(message)
            answer = (True, function(*arguments))
        except Exception:
            answer = (False, traceback.format_exc())
    if dist.is_initialized():
        dist.destroy_process_group()


def _packed(answer):
    """The answer as bytes; one that cannot travel becomes the failure that says so."""
    try:
        return pickle.dumps(answer)
    except Exception:
        return pickle.dumps((False, traceback.format_exc()))


def _write_to(path):
    """Send what this process prints, from Python or from C++, to a file."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)


def _leave_with_parent(folder):
    """End, wherever this worker hangs, when nobody is left to ask it."""
    connection.wait([multiprocessing.parent_process().sentinel])
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _join(rank, size, folder, timeout_seconds):
    """Meet the others: each writes its address to a file, since a port may be taken."""
    loopback = {"lo", "lo0"} & {name for _, name in socket.if_nameindex()}
    if loopback:
        os.environ["GLOO_SOCKET_IFNAME"] = loopback.pop()
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "addresses"), size)
    timeout = timedelta(seconds=timeout_seconds)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=timeout)
