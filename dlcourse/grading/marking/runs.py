"""Grade a folder: the pure function `grade`, mapped over hand-ins by processes or by Dask.

Only this process writes results. A run that is killed loses what was in flight and nothing else;
the next one takes up where it stopped. A machine that fails costs nobody a mark: what it failed at
is graded once more, and is "not graded" if it fails again.
"""

import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.util import Finalize

from tqdm import tqdm

from dlcourse.grading.homework import Homework
from dlcourse.grading.marking import dependencies
from dlcourse.grading.marking.collection import COUNTS, HandIn
from dlcourse.grading.marking.grade import NotGraded, grade
from dlcourse.grading.marking.keys import Conditions, Keys, package_digest
from dlcourse.grading.marking.results import Result, not_graded
from dlcourse.grading.marking.store import Store
from dlcourse.grading.marking.workers import Answer, Cluster, Here, Processes
from dlcourse.grading.sandbox.execution import STRICT, UNTRUSTED, Executor, Limits
from dlcourse.grading.sandbox.failures import KilledFromOutside

OTHER_CONDITIONS = (
    "It was graded under other conditions than the rest of the class: {}, not {}. Give all workers "
    "the same Python, packages and sandbox."
)


@dataclass(frozen=True)
class Setting:
    """How to grade: in how many processes or on which cluster, and in which sandbox."""

    n_workers: int = 1  # 1 is this process itself
    scheduler: str | None = None  # address of a Dask scheduler, tcp://...
    isolation: str = STRICT
    limits: Limits = Limits()
    secret: bytes = b""  # that hidden inputs are drawn from
    private: tuple[str, ...] = ()  # paths of this run that no notebook may see


@dataclass(frozen=True)
class Task:
    """One hand-in to grade, and which questions of it: none given means all."""

    bundle: bytes
    data: bytes
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graded:
    """What came of a task: a result as JSON and where it was made, or why there is none."""

    result: str = ""
    conditions: Conditions | None = None
    failure: str = ""


def run(homework: Homework, hand_ins: list[HandIn], store: Store, setting: Setting) -> dict:
    """Results of the hand-ins that count, by SHA-256: light ones, the full ones are in the store.

    What the machine failed to grade twice has the status "not graded", is not stored, and is tried
    again by the next run. Raises `SandboxUnavailable` if there is no sandbox to trust.
    """
    counting = {hand_in.digest: hand_in for hand_in in hand_ins if hand_in.status == COUNTS}
    if not counting:
        return {}
    keys = Keys(homework, setting.isolation, setting.limits, setting.secret)
    place = functools.partial(conditions, homework.to_bytes(), setting, keys.foreign)
    work = functools.partial(grade_task, setting=setting, foreign=keys.foreign)
    with _crew(setting, place, len(counting)) as crew:
        book = _Book(keys, crew.ask(place), store)
        left = [hand_in for hand_in in counting.values() if not book.has(hand_in)]
        with tqdm(total=len(left), desc="grading", unit="notebook", disable=not left) as bar:
            for answer in crew.map(work, book.tasks(left)):
                book.enter(answer)
                bar.update()
    return book.results


class _Book:
    """The results of a run: those that are stored already, and those that come in."""

    def __init__(self, keys: Keys, conditions: Conditions, store: Store):
        self.keys, self.conditions, self.store = keys, conditions, store
        self.homework = keys.homework
        self.results, self.known = {}, {}

    def has(self, hand_in: HandIn) -> bool:
        """Whether nothing of it is left to grade; else the questions that are stored are kept."""
        try:
            data = hand_in.read()
        except OSError as error:  # gone since the folder was looked through
            self._fail(hand_in.digest, str(error))
            return True
        key = self.keys.of(hand_in.digest, data, self.conditions)
        result, known = self.store.find(key), self.store.known(key)
        if result is None and len(known) == len(self.homework.questions):
            result = self._add(key, self.store.ran(key), known)
        if result:
            self.results[hand_in.digest] = result.light()
        self.known[hand_in.digest] = key, known
        return result is not None

    def tasks(self, hand_ins: list[HandIn]) -> Iterator[tuple[str, Task]]:
        """What is to be graded, read when it is its turn."""
        bundle = self.homework.to_bytes()
        for hand_in in hand_ins:
            _, known = self.known[hand_in.digest]
            missing = tuple(q.id for q in self.homework.questions if q.id not in known)
            try:
                yield hand_in.digest, Task(bundle, hand_in.read(), missing if known else ())
            except OSError as error:
                self._fail(hand_in.digest, str(error))

    def enter(self, answer: Answer):
        """Write down what came of a task."""
        digest, graded = answer.key, answer.value
        if failure := answer.failure or graded.failure:
            return self._fail(digest, failure)
        if graded.conditions != self.conditions:
            return self._fail(
                digest, OTHER_CONDITIONS.format(graded.conditions.short, self.conditions.short)
            )
        key, known = self.known[digest]
        result = Result.from_json(graded.result)
        if answer.is_second:
            # An earlier process may have sent hidden inputs before it was killed: what the
            # notebook showed in this one might hold them.
            result = result.light()
        if known and (earlier := self.store.ran(key)):
            result = replace(result, cells=earlier.cells)  # likewise
        result = self._add(key, result, known | {q.id: q for q in result.questions})
        self.results[digest] = result.light()

    def _add(self, key, ran, questions):
        """Store the run `ran` with these questions; None if there was no such run."""
        if ran is None:
            return None
        if ran.is_graded:
            ran = ran.with_questions(self.homework, questions)
        result = replace(ran, key=key.result)
        self.store.add(key, result)
        return result

    def _fail(self, digest, why):
        self.results[digest] = not_graded(self.homework, digest, why)


def grade_task(task: Task, setting: Setting, foreign: tuple[str, ...] = ()) -> Graded:
    """One task in whatever process it lands. A sandbox that failed is replaced, once."""
    homework, seen = _homework(task.bundle), []
    with _lock:  # a sandbox takes one submission at a time
        for _ in range(2):
            try:
                here = conditions(task.bundle, setting, foreign)
                executor = _executor(*_sandbox_of(homework, setting))
                result = grade(homework, task.data, executor, task.only, setting.secret, seen)
                break
            except (Exception, KilledFromOutside) as error:  # one may not end the run of all
                about = "" if isinstance(error, NotGraded) else f"{type(error).__name__}: "
                failure = f"{about}{error}"
                _close_executor()  # it may be the sandbox itself that is broken
        else:
            return Graded(failure=failure)
    if setting.isolation == UNTRUSTED:
        result = result.untrusted()
    return Graded(replace(result, sandbox=here.sandbox).to_json(), here)


def conditions(bundle: bytes, setting: Setting, foreign: tuple[str, ...]) -> Conditions:
    """Those of the process that is asked. Raises `SandboxUnavailable` where no sandbox holds."""
    executor = _executor(*_sandbox_of(_homework(bundle), setting))
    return Conditions(executor.isolation_used, dependencies.versions(foreign), package_digest())


_lock = threading.RLock()
_homework = functools.lru_cache(maxsize=4)(Homework.from_bytes)


def _sandbox_of(homework, setting):
    about = homework.needs_torch, homework.flagged
    return *about, setting.isolation, setting.limits, setting.private


@functools.lru_cache(maxsize=1)
def _executor(with_torch, withheld, isolation, limits, private):
    """The one sandbox of this process; it lives as long as the process does."""
    _close_executor()
    executor = Executor(
        limits,
        isolation=isolation,
        with_torch=with_torch,
        hidden_modules=withheld,
        private=private,
    )
    executor.__enter__()
    _open.append(Finalize(executor, executor.__exit__, (None, None, None), exitpriority=1))
    return executor


_open = []  # what ends the sandbox of this process; unlike atexit, in a worker too


def _close_executor():
    while _open:
        _open.pop()()
    _executor.cache_clear()


def _crew(setting, place, n_hand_ins):
    """Who grades."""
    if setting.scheduler:
        return Cluster(setting.scheduler)
    n_workers = min(setting.n_workers, n_hand_ins)
    return Processes(n_workers, prepare=place) if n_workers > 1 else Here()
