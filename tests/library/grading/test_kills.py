"""A machine that kills processes costs nobody a mark: nothing is lost, doubled, changed or hung.

Kills come at moments of a run, never after so many seconds: before the n-th write to the store for
the grader, when the n-th hand-in is begun for a worker, in the n-th call for a sandbox.
"""

import contextlib
import functools
import os
import random
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dlcourse.grading.marking import runs, workers
from dlcourse.grading.marking.collection import collect
from dlcourse.grading.marking.grade import NotGraded, grade
from dlcourse.grading.marking.runs import Setting
from dlcourse.grading.marking.store import Store
from dlcourse.grading.sandbox import submission_run
from dlcourse.grading.sandbox.execution import Executor
from dlcourse.grading.sandbox.failures import KilledFromOutside
from dlcourse.grading.sandbox.limits import MEBIBYTE, Limits
from tests.library.grading.samples import EMPTY, HOMEWORK, from_cells, homework, submission
from tests.library.grading.test_store import handed_in

DRIVER = """
import sys
from dlcourse.grading import master
from dlcourse.grading.marking import collection, runs, store

def say(statement):
    print(statement.split()[0], flush=True)
    sys.stdin.readline()  # until it may go on

if __name__ == "__main__":
    homework = master.read(sys.argv[1])
    setting = runs.Setting(n_workers=int(sys.argv[4]), isolation="untrusted marks")
    with store.Store(sys.argv[3]) as results:
        results._connection.set_trace_callback(say)
        runs.run(homework, collection.collect(sys.argv[2]), results, setting)
"""
WRITES = ("BEGIN", "INSERT", "COMMIT")
MASTER = HOMEWORK / "logistic_regression" / "master.ipynb"


def contents(path):
    """Rows without the moment they were written."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = {
            table: connection.execute(f"SELECT key, submission, record FROM {table}").fetchall()
            for table in ("results", "questions")
        }
    connection.close()
    return {table: {key: rest for key, *rest in found} for table, found in rows.items()}


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    path = tmp_path_factory.mktemp("driver") / "driver.py"
    path.write_text(DRIVER)
    return path


def start(*command):
    """A run that says each statement to its store, and takes it when it gets a line."""
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
        cwd=HOMEWORK.parent,
        env={**os.environ, "PYTHONPATH": str(HOMEWORK.parent)},
    )


def go_on(process, n_writes=None):
    """Let the run go on to its end, or until it is about to write for the n-th time."""
    n_written = 0
    for line in process.stdout:
        n_written += line.strip() in WRITES
        if n_written == n_writes:
            return
        process.stdin.write("\n")
    assert n_writes is None, "The run ended before it had written so often."
    assert process.wait() == 0


def killed(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()


# ------------------------------------------------------------------------------------ the grader


@pytest.mark.parametrize("n_workers", [1, 2])
def test_kills_of_the_grader_lose_double_and_change_nothing(tmp_path, driver, n_workers):
    """Each is killed at a moment of its run, before a write or in it: twenty, and six of two."""
    n_kills, n_hand_ins = (20, 60) if n_workers == 1 else (6, 30)
    folder = handed_in(tmp_path / "in", n_hand_ins, q2="turned sign", q5=EMPTY)
    rng = random.Random(n_workers)
    undisturbed = start(driver, MASTER, folder, tmp_path / "undisturbed.sqlite", n_workers)
    go_on(undisturbed)
    undisturbed.communicate()
    wanted = contents(tmp_path / "undisturbed.sqlite")
    assert len(wanted["results"]) == n_hand_ins

    path, seen = tmp_path / "killed.sqlite", {"results": {}, "questions": {}}
    for _ in range(n_kills):
        process = start(driver, MASTER, folder, path, n_workers)
        go_on(process, n_writes=rng.randint(1, 24))  # eight or so a hand-in
        if rng.random() < 0.5:
            process.stdin.write("\n")  # then it dies in the midst of it, or soon after
        family = psutil.Process(process.pid).children(recursive=True)
        killed(process)
        _, alive = psutil.wait_procs(family, timeout=300)
        assert not alive
        now = contents(path) if path.exists() and path.stat().st_size else seen
        for table in seen:
            assert seen[table].items() <= now[table].items() <= wanted[table].items()
        seen = now
    assert 0 < len(seen["results"]) < n_hand_ins
    last = start(driver, MASTER, folder, path, n_workers)
    go_on(last)
    last.communicate()
    assert contents(path) == wanted


def test_a_killed_run_leaves_no_process(tmp_path, driver):
    folder = handed_in(tmp_path / "in", 40)
    process = start(driver, MASTER, folder, tmp_path / "a.sqlite", 2)
    go_on(process, n_writes=6)  # so that the workers are there, and at work
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 4
    killed(process)
    _, alive = psutil.wait_procs(family, timeout=300)
    assert not alive


# ------------------------------------------------------------------------------------ the workers


def _chosen(task, sign, value):
    """Dies with -9 when it is its turn to; `sign` counts how often each task was begun."""
    with open(Path(sign, str(task)), "a") as file:
        file.write("x")
    n_begun = os.path.getsize(Path(sign, str(task)))
    if n_begun <= value.get(task, 0):
        os.kill(os.getpid(), signal.SIGKILL)
    return task * "a", os.getpid()


def mapped(tmp_path, n_workers, deaths, tasks):
    """Answers by key of tasks whose worker dies so many times, and how often each was begun."""
    work = functools.partial(_chosen, sign=str(tmp_path), value=deaths)
    with workers.Processes(n_workers, prepare=int) as crew:
        answers = list(crew.map(work, ((task, task) for task in tasks)))
    assert not workers_of(os.getpid())
    begun = {task: os.path.getsize(tmp_path / str(task)) for task in tasks}
    assert len(answers) == len(tasks)
    return {answer.key: answer for answer in answers}, begun


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_a_dead_worker_is_replaced_and_its_task_done_once_more(tmp_path, n_workers):
    deaths = {1: 1, 2: 1, 5: 1, 9: 2, 10: 3, 11: 1}
    answers, begun = mapped(tmp_path, n_workers, deaths, range(12))
    for task, answer in answers.items():
        n_deaths = min(2, deaths.get(task, 0))
        assert begun[task] == min(2, n_deaths + 1)
        assert answer.is_second == (n_deaths > 0)
        if n_deaths < 2:
            assert answer.value[0] == task * "a"
            assert not answer.failure
        else:
            assert answer.value is None
            assert "killed, twice" in answer.failure


def test_tasks_larger_than_any_pipe_hold_nothing_up(tmp_path):
    """A pool whose worker dies while it is sent one would wait for ever."""
    sizes = [5_000_000, 5_000_001, 5_000_002]
    answers, _ = mapped(tmp_path, 2, {5_000_001: 1, 5_000_002: 2}, sizes)
    assert {key: answer.value and len(answer.value[0]) for key, answer in answers.items()} == {
        5_000_000: 5_000_000,
        5_000_001: 5_000_001,
        5_000_002: None,
    }


def test_an_idle_worker_that_was_killed_is_replaced(tmp_path):
    work = functools.partial(_chosen, sign=str(tmp_path), value={})
    with workers.Processes(1, prepare=int) as crew:
        ((_, first),) = [answer.value for answer in crew.map(work, [(1, 1)])]
        os.kill(first, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(first)] if psutil.pid_exists(first) else [], timeout=300)
        (answer,) = crew.map(work, [(2, 2)])
    assert answer.value[0] == "aa"
    assert not answer.is_second


def test_who_asks_gets_the_answer_or_the_reason():
    with workers.Processes(2, prepare=_refuse) as crew:
        with pytest.raises(ValueError, match="no sandbox"):
            crew.ask(_refuse)
        assert crew.ask(os.getpid) != os.getpid()
        with pytest.raises(RuntimeError, match="killed at once"):
            crew.ask(_die)


def _refuse():
    raise ValueError("no sandbox")


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def workers_of(pid):
    """Processes that grade: children of the grader that are Python's, not sandboxes."""
    children = psutil.Process(pid).children()
    alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if "spawn_main" in " ".join(child.cmdline())]


def test_kills_of_workers_at_ten_moments_change_no_mark(tmp_path, driver):
    """The grader stands still before a write while a worker of its two is killed."""
    folder = handed_in(tmp_path / "in", 40, q2="turned sign", q5=EMPTY)
    rng = random.Random(0)
    process = start(driver, MASTER, folder, tmp_path / "a.sqlite", 2)
    for _ in range(10):
        go_on(process, n_writes=rng.randint(1, 16))
        rng.choice(workers_of(process.pid)).kill()
        process.stdin.write("\n")
    go_on(process)
    process.communicate()
    first = marks(tmp_path / "a.sqlite")
    assert len(first) >= 35  # one hand-in can have met two of the kills, and then has no mark
    process = start(driver, MASTER, folder, tmp_path / "a.sqlite", 1)
    go_on(process)
    process.communicate()
    second = marks(tmp_path / "a.sqlite")
    assert first.items() <= second.items()
    assert [*second.values()] == [14] * 40


def marks(path):
    rows = contents(path)["results"].values()
    return {submission: runs.Result.from_json(record).earned for submission, record in rows}


# ---------------------------------------------------------------------------------- the sandboxes


@pytest.fixture(scope="module")
def executor():
    with Executor(isolation="untrusted marks") as executor:
        yield executor


class Kills:
    """Kills a process of the sandbox before the n-th call, or while it is being made."""

    def __init__(self, monkeypatch, executor, moments, victim):
        self.executor, self.moments, self.victim, self.n_calls = executor, [*moments], victim, 0
        self.exchange = submission_run.SubmissionRun._exchange
        monkeypatch.setattr(submission_run.SubmissionRun, "_exchange", lambda *a: self(*a))

    def __call__(self, run, order):
        self.n_calls += 1
        if self.moments and self.n_calls == self.moments[0]:
            self.moments.pop(0)
            pid = run.fork.host_pid if self.victim == "fork" else run.zygote.process.pid
            os.kill(pid, signal.SIGKILL)
        return self.exchange(run, order)


@pytest.mark.parametrize("victim", ["fork", "zygote"])
@pytest.mark.parametrize("moment", [1, 4, 7, 12, 20])
def test_a_sandbox_killed_at_ten_moments_changes_no_mark(monkeypatch, executor, victim, moment):
    wanted = homework()
    data = submission(wanted, {"q1": "turned sign"})
    undisturbed = grade(wanted, data, executor)
    kills = Kills(monkeypatch, executor, [moment], victim)
    assert grade(wanted, data, executor) == undisturbed
    assert kills.moments == []


def test_a_second_death_is_not_graded_and_no_zero(tmp_path, monkeypatch, executor):
    monkeypatch.setattr(runs, "_executor", functools.cache(lambda *_: executor))
    kills = Kills(monkeypatch, executor, [3, 6, 9, 12], "fork")
    folder, setting = handed_in(tmp_path / "in", 1), Setting(isolation="untrusted marks")
    with Store(tmp_path / "a.sqlite") as store:
        (result,) = runs.run(homework(), collect(folder), store, setting).values()
        assert (result.status, result.earned) == ("not graded", None)
        assert "killed from outside" in result.message
        assert len(store) == 0
        assert kills.moments == []
        (result,) = runs.run(homework(), collect(folder), store, setting).values()
        assert result.earned == 23


def test_a_process_killed_while_its_cells_run_is_run_again(monkeypatch, executor):
    real, left = submission_run.SubmissionRun._send_notebook, [True]

    def kill_first(run, allowance):
        if left:
            left.pop()
            os.kill(run.fork.host_pid, signal.SIGKILL)
        return real(run, allowance)

    monkeypatch.setattr(submission_run.SubmissionRun, "_send_notebook", kill_first)
    wanted = homework()
    result = grade(wanted, submission(wanted), executor)
    assert (result.earned, left) == (23, [])
    assert not any(cell.error for cell in result.cells)


def test_no_test_can_take_a_kill_for_an_answer(monkeypatch, executor):
    Kills(monkeypatch, executor, [1], "fork")
    with executor.run(["def f(): return 1"], seed_material=b"") as student:
        with pytest.raises(KilledFromOutside), contextlib.suppress(Exception):
            student.f()


OWN_DEATHS = {
    "exit": ("os._exit(9)", "ended itself with status 9"),
    "abort": ("os.abort()", "got SIG"),
    "kill": ("os.kill(os.getpid(), 9)", "PermissionError"),
    "thread": ("signal.pthread_kill(threading.get_ident(), 9)", "PermissionError"),
    "limit": ("resource.setrlimit(resource.RLIMIT_CPU, (1, 1))", "not permitted|not allowed|Error"),
    "channel": ("os.close(3); time.sleep(60)", "was killed"),
}


@pytest.mark.parametrize(("source", "words"), OWN_DEATHS.values(), ids=OWN_DEATHS)
@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
def test_what_a_notebook_does_to_itself_is_its_own(kind, source, words):
    """Else a student could make a machine of the grader's look broken."""
    limits = Limits(call_wall_seconds=1.0)
    cells = [f"import os, resource, signal, threading, time\ndef f():\n    {source}"]
    executor = Executor(limits, isolation="untrusted marks")
    with contextlib.closing(executor.start(kind)) as executor.zygote:
        with executor.run(cells, seed_material=b"") as student:
            with pytest.raises(Exception, match=words):
                student.f()


def test_memory_that_a_notebook_takes_is_its_own():
    """The control group of the sandbox kills what the limits of a process let through."""
    limits = replace(Limits(), memory_bytes=4096 * MEBIBYTE)
    with Executor(limits, isolation="untrusted marks") as executor:
        group = executor.zygote.group
        if group is None:
            pytest.skip("no control groups for this user")
        for directory in group.directories:
            for file in ("memory.max", "memory.limit_in_bytes"):
                if (directory / file).exists():
                    (directory / file).write_text(str(256 * MEBIBYTE))
        with executor.run(["def f(): return len(b'x' * 10**9)"], seed_material=b"") as student:
            with pytest.raises(Exception, match="was killed"):
                student.f()


def test_a_hand_in_that_kills_sandboxes_stops_nobody_else(monkeypatch, executor):
    monkeypatch.setattr(executor, "run", _dies)
    with pytest.raises(NotGraded, match="failed twice"):
        grade(homework(), from_cells("x = 1"), executor)


@contextlib.contextmanager
def _dies(cells, *, seed_material):
    raise KilledFromOutside("a process of the sandbox was killed from outside")
    yield
