"""Where hand-ins are graded: in this process, in others of this machine, or on a Dask cluster.

Each of the three has `ask`, an answer from wherever work will be done, and `map`, all answers as
they come. A process that dies is replaced, and what it was at is done once more; what kills two
processes gets no answer, and holds up nothing.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from typing import Any

MOST_DEATHS = 2  # of the workers that one task had
IN_FLIGHT = 3  # tasks of each thread of a cluster, so that none waits and few are lost by a kill
PATIENCE_SECONDS = 60.0  # with a worker that has nothing to do but to end its sandbox
PR_SET_PDEATHSIG = 1
LOST = "The process that graded it was killed, twice."


@dataclass(frozen=True)
class Answer:
    """What came of one task: `value`, or why there is none."""

    key: Any
    value: Any = None
    failure: str = ""
    is_second: bool = False  # whether another process had died of it, or with it


class Here:
    """This process itself."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, function: Callable) -> Any:
        return function()

    def map(self, function: Callable, tasks: Iterable) -> Iterator[Answer]:
        """Answers of `function` to the tasks, pairs of a key and an argument."""
        for key, task in tasks:
            yield Answer(key, function(task))


class Processes:
    """Processes of this machine, at most `n_workers`, each doing one task at a time.

    A pool that shares one queue can hang when a worker dies that holds the queue's lock. Here each
    worker has a pipe of its own, which ends with it. Processes begin with `prepare`.
    """

    def __init__(self, n_workers: int, prepare: Callable):
        self.n_workers, self.prepare = n_workers, prepare
        self.idle, self.busy = [], {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker, _ in self.busy.values():  # the caller has given up
            worker.kill()
        for worker in self.idle:
            worker.end()

    def ask(self, function: Callable) -> Any:
        """Its answer; raises the exception that it raised, `RuntimeError` if it is killed twice."""
        (answer,) = self.map(_caught, [(None, function)])
        if answer.failure:
            raise RuntimeError("The processes that are to grade get killed at once.")
        if isinstance(answer.value, Exception):
            raise answer.value
        return answer.value

    def map(self, function: Callable, tasks: Iterable) -> Iterator[Answer]:
        jobs, again, busy = iter(tasks), [], self.busy

        def start_all():
            """Give work to all; what is to be done once more goes first."""
            while len(busy) < self.n_workers:
                job = again.pop() if again else _job(next(jobs, None))
                if job is None:
                    return
                worker = self._worker()
                busy[worker.pipe] = worker, job
                worker.send(function, job.task)

        start_all()
        while busy:
            done = [self._received(*busy.pop(pipe), again) for pipe in wait([*busy])]
            start_all()  # before an answer is used, so that nobody waits meanwhile
            yield from filter(None, done)

    def _worker(self):
        while self.idle:
            worker = self.idle.pop()
            if not wait([worker.process.sentinel], timeout=0):
                return worker
            worker.kill()
        return _Worker(self.prepare)

    def _received(self, worker, job, again):
        try:
            value = worker.pipe.recv()
        except (EOFError, OSError):  # it is dead, perhaps in the midst of its answer
            worker.kill()
            if job.n_deaths + 1 == MOST_DEATHS:
                return Answer(job.key, failure=LOST, is_second=True)
            again.append(replace(job, n_deaths=job.n_deaths + 1))
            return None
        self.idle.append(worker)
        return Answer(job.key, value, is_second=job.n_deaths > 0)


@dataclass(frozen=True)
class _Job:
    key: Any
    task: Any
    n_deaths: int = 0


def _job(pair):
    return _Job(*pair) if pair else None


class _Worker:
    """One process, and this end of its pipe."""

    def __init__(self, prepare):
        context = multiprocessing.get_context("spawn")  # a fork would share the sandbox
        self.pipe, theirs = context.Pipe()
        about = theirs, os.getpid(), prepare
        self.process = context.Process(target=_serve, args=about, daemon=True)
        self.process.start()
        theirs.close()

    def send(self, function, task):
        with contextlib.suppress(OSError):  # its death is seen where its answer is read
            self.pipe.send((function, task))

    def end(self):
        """Let it clean up and go."""
        self.pipe.close()
        self.process.join(PATIENCE_SECONDS)
        self.kill()

    def kill(self):
        self.pipe.close()
        self.process.kill()
        self.process.join()


def _serve(pipe, parent, prepare):
    """Do what comes through the pipe, one by one, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _die_with(parent)
    _caught(prepare)  # what it raises is raised again by whoever asks
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, task = pipe.recv()
            pipe.send(function(task))


def _caught(function):
    try:
        return function()
    except Exception as error:
        return error


def _die_with(parent):
    """A worker whose parent was killed is of no use, even in the midst of a hand-in."""
    with contextlib.suppress(OSError, AttributeError):  # where there is no prctl
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Cluster:
    """The workers of a Dask scheduler; Dask itself replaces those that die."""

    def __init__(self, address: str):
        from distributed import Client

        self.client = Client(address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def ask(self, function: Callable) -> Any:
        return self.client.submit(function, pure=False).result()

    def map(self, function: Callable, tasks: Iterable) -> Iterator[Answer]:
        running = {}
        room = IN_FLIGHT * max(1, sum(self.client.nthreads().values()))
        for key, task in tasks:
            # Scattered, because a notebook full of pictures is too large for the scheduler.
            data = self.client.scatter(task, hash=False)
            running[self.client.submit(function, data, pure=False)] = key
            if len(running) >= room:
                yield from self._done(running)
        while running:
            yield from self._done(running)

    @staticmethod
    def _done(running):
        from distributed import wait as wait_for_any

        for future in wait_for_any([*running], return_when="FIRST_COMPLETED").done:
            key = running.pop(future)
            if error := future.exception():
                yield Answer(key, failure=f"{type(error).__name__}: {error}", is_second=True)
            else:
                yield Answer(key, future.result())
