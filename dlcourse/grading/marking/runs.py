"""Grade a folder: the pure function `grade`, mapped over hand-ins by processes or by Dask.

Only this process writes results. A run that is killed loses what was in flight and nothing else;
the next one takes up where it stopped.
"""

import atexit
import contextlib
import ctypes
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass

from tqdm import tqdm

from dlcourse.grading.homework import Homework
from dlcourse.grading.marking.collection import COUNTS, HandIn
from dlcourse.grading.marking.grade import NotGraded, grade
from dlcourse.grading.marking.results import Result, ungraded
from dlcourse.grading.marking.store import Store
from dlcourse.grading.sandbox.execution import Executor, Limits

NOT_GRADED = "not graded"
IN_FLIGHT = 3  # tasks a worker, so that none waits and few are lost by a kill
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Setting:
    """How to grade: in how many processes or on which cluster, and in which sandbox."""

    n_workers: int = 1  # 1 is this process itself; of a cluster, how many to keep busy
    scheduler: str | None = None  # address of a Dask scheduler, tcp://...
    isolation: str = "strict"
    limits: Limits = Limits()


def run(homework: Homework, hand_ins: list[HandIn], store: Store, setting: Setting) -> dict:
    """Results of the hand-ins that count, by SHA-256: light ones, the full ones are in the store.

    What the machine failed to grade twice has the status "not graded", is not stored, and is tried
    again by the next run. Raises `SandboxUnavailable` if there is no sandbox to trust.
    """
    to_grade, results = {}, {}
    for hand_in in hand_ins:
        if hand_in.status != COUNTS or hand_in.digest in to_grade:
            continue
        known = _known(homework, hand_in.digest, store)
        if isinstance(known, Result):
            results[hand_in.digest] = known.light()
        else:
            to_grade[hand_in.digest] = (hand_in, known)

    bundle = homework.to_bytes()

    def tasks():
        for digest, (hand_in, known) in to_grade.items():
            try:
                yield digest, (bundle, hand_in.read(), _missing(homework, known))
            except OSError as error:  # gone since the folder was looked through
                results[digest] = ungraded(homework, digest, NOT_GRADED, str(error))

    bar = tqdm(total=len(to_grade), desc="grading", unit="notebook", disable=not to_grade)
    with bar, _workers(homework, setting) as submit:
        for digest, text in _mapped(tasks(), submit, setting):
            known = to_grade[digest][1]
            results[digest] = _recorded(homework, digest, text, known, store)
            bar.update()
    return results


def _known(homework, digest, store):
    """The result if all of it is stored, else the questions that are."""
    if result := store.find(homework, digest):
        return result
    known = store.known(homework, digest)
    earlier = store.ran(homework, digest)
    if earlier is None or len(known) < len(homework.questions):
        return known
    result = earlier.with_questions(homework, known)
    store.add(homework, result)
    return result


def _missing(homework, known):
    """Questions to grade; none given means all."""
    return tuple(q.id for q in homework.questions if q.id not in known) if known else ()


def _recorded(homework, digest, text, known, store):
    if text.startswith(NOT_GRADED):
        return ungraded(homework, digest, NOT_GRADED, text.removeprefix(NOT_GRADED).strip())
    result = Result.from_json(text)
    graded = known | {question.id: question for question in result.questions}
    result = result.with_questions(homework, graded)
    store.add(homework, result)
    return result.light()


def grade_bytes(task: tuple[bytes, bytes, tuple], setting: Setting) -> str:
    """One task in whatever process it lands: the result as JSON, or that there is none."""
    bundle, data, only = task
    homework = _homework(bundle)
    with _lock:  # a sandbox takes one submission at a time
        for _ in range(2):
            executor = _executor(homework.needs_torch, setting.isolation, setting.limits)
            try:
                return grade(homework, data, executor, only).to_json()
            except Exception as error:  # one submission must not end the run of all
                about = "" if isinstance(error, NotGraded) else f"{type(error).__name__}: "
                failure = f"{NOT_GRADED} {about}{error}"
                executor.__exit__(None, None, None)  # it may be the sandbox itself that is broken
                _executor.cache_clear()
    return failure


_lock = threading.Lock()
_homework = functools.lru_cache(maxsize=4)(Homework.from_bytes)


@functools.lru_cache(maxsize=1)
def _executor(with_torch, isolation, limits):
    """The one sandbox of this process; it lives as long as the process does."""
    executor = Executor(limits, isolation=isolation, with_torch=with_torch)
    executor.__enter__()
    atexit.register(executor.__exit__, None, None, None)
    return executor


@contextlib.contextmanager
def _workers(homework, setting) -> Iterator[Callable]:
    """A function that starts a task and returns its future."""
    work = functools.partial(grade_bytes, setting=setting)
    if setting.scheduler:
        from distributed import Client

        with Client(setting.scheduler) as client:
            # Scattered, because a notebook full of pictures is too large for the scheduler.
            yield lambda task: client.submit(work, client.scatter(task, hash=False), pure=False)
        return
    if setting.n_workers == 1:
        yield lambda task: _finished(work(task))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(setting.n_workers, context, initializer=_die_with_parent) as pool:
        yield lambda task: pool.submit(work, task)


def _finished(answer):
    future = Future()
    future.set_result(answer)
    return future


def _die_with_parent():
    """A worker whose parent was killed would wait for tasks for ever."""
    with contextlib.suppress(OSError, AttributeError):  # where there is no prctl
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)


def _mapped(tasks: Iterable, submit: Callable, setting: Setting) -> Iterator:
    """(key, answer) of each task as it is done, with few tasks in flight."""
    room = 1 if setting.n_workers == 1 and not setting.scheduler else IN_FLIGHT * setting.n_workers
    running = {}
    for key, task in tasks:
        running[submit(task)] = key
        if len(running) >= room:
            yield from _done(running, setting)
    while running:
        yield from _done(running, setting)


def _done(running, setting):
    if setting.scheduler:
        from distributed import wait as wait_for_any

        finished = wait_for_any(list(running), return_when="FIRST_COMPLETED").done
    else:
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in finished:
        yield running.pop(future), future.result()
