"""Results outlive kills: nothing is lost, doubled or changed, and only what is new is graded."""

import contextlib
import functools
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from dlcourse.grading.marking import runs
from dlcourse.grading.marking.collection import collect
from dlcourse.grading.marking.grade import NotGraded, grade
from dlcourse.grading.marking.results import Result
from dlcourse.grading.marking.runs import Setting
from dlcourse.grading.marking.store import Store, grader_version
from dlcourse.grading.sandbox.execution import Executor
from tests.library.grading.samples import EMPTY, HOMEWORK, homework, submission

HERE = Setting(n_workers=1, isolation="untrusted marks")
DRIVER = """
import sys
from dlcourse.grading import master
from dlcourse.grading.marking import collection, runs, store
homework = master.read(sys.argv[1])
setting = runs.Setting(n_workers=1, isolation="untrusted marks")
hand_ins = collection.collect(sys.argv[2])
def say(statement):
    print(statement.split()[0], flush=True)
    sys.stdin.readline()  # until it may go on
with store.Store(sys.argv[3]) as results:
    results._connection.set_trace_callback(say)
    runs.run(homework, hand_ins, results, setting)
"""
WRITES = ("BEGIN", "INSERT", "COMMIT")


@pytest.fixture(scope="module")
def executor():
    with Executor(isolation="untrusted marks") as executor:
        yield executor


@pytest.fixture
def counted(monkeypatch, executor):
    """Grade here, in one sandbox for all tests; the list gets what was asked each time."""
    asked = []

    def grade_here(homework, data, _, only):
        asked.append(only)
        return grade(homework, data, executor, only)

    monkeypatch.setattr(runs, "grade", grade_here)
    monkeypatch.setattr(runs, "_executor", functools.cache(lambda *_: contextlib.ExitStack()))
    return asked


def handed_in(folder, n, **answers):
    folder.mkdir(exist_ok=True)
    for i in range(n):
        (folder / f"s{i:02}.ipynb").write_bytes(submission(homework(), answers, note=str(i)))
    return folder


def changed(wanted, id, **changes):
    """The homework with the first test of a question changed."""
    questions = tuple(
        replace(q, tests=(replace(q.tests[0], **changes), *q.tests[1:])) if q.id == id else q
        for q in wanted.questions
    )
    return replace(wanted, questions=questions)


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


def test_results_come_back_as_they_were(tmp_path, executor):
    wanted = homework()
    result = grade(wanted, submission(wanted, {"q1": "turned sign"}), executor)
    for _ in range(2):  # the second time from disk, and adding it again changes nothing
        with Store(tmp_path / "a.sqlite") as store:
            store.add(wanted, result)
            assert store.find(wanted, result.submission) == result
            assert store.find(wanted, "0" * 64) is None
            assert store.known(wanted, result.submission) == {q.id: q for q in result.questions}
            assert len(store) == 1
    assert re.fullmatch(r"[\d.]+\+[0-9a-f]{16}", grader_version())


def test_rows_cannot_be_changed_or_deleted(tmp_path, executor):
    wanted = homework()
    with Store(tmp_path / "a.sqlite") as store:
        store.add(wanted, grade(wanted, submission(wanted), executor))
    connection = sqlite3.connect(tmp_path / "a.sqlite")
    for order in ("UPDATE results SET record = ''", "DELETE FROM results", "DELETE FROM questions"):
        with pytest.raises(sqlite3.IntegrityError, match="added, never changed"):
            connection.execute(order)
    connection.close()


def test_grading_twice_is_free_and_so_is_the_same_file_of_another(tmp_path, counted):
    folder = handed_in(tmp_path / "in", 2)
    (folder / "copy.ipynb").write_bytes((folder / "s00.ipynb").read_bytes())
    with Store(tmp_path / "a.sqlite") as store:
        first = runs.run(homework(), collect(folder), store, HERE)
        assert counted == [(), ()]
        assert runs.run(homework(), collect(folder), store, HERE) == first
    assert len(counted) == len(first) == 2


def test_a_fixed_test_regrades_its_question_only(tmp_path, counted):
    folder, wanted = handed_in(tmp_path / "in", 1, q3="weights p"), homework()
    fixed = changed(wanted, "q3", points=4)
    with Store(tmp_path / "a.sqlite") as store:
        (before,) = runs.run(wanted, collect(folder), store, HERE).values()
        (after,) = runs.run(fixed, collect(folder), store, HERE).values()
        assert counted == [(), ("q3",)]
        assert after.questions[2].points == 8
        assert [q for q in after.questions if q.id != "q3"] == [
            q for q in before.questions if q.id != "q3"
        ]
        reworded = replace(wanted, title="Another title")
        (same,) = runs.run(reworded, collect(folder), store, HERE).values()
        assert len(counted) == 2
        assert same == before


def test_a_new_grader_grades_anew(tmp_path, counted, monkeypatch):
    folder = handed_in(tmp_path / "in", 1)
    with Store(tmp_path / "a.sqlite") as store:
        runs.run(homework(), collect(folder), store, HERE)
        monkeypatch.setattr("dlcourse.grading.marking.store.grader_version", lambda: "9.9")
        runs.run(homework(), collect(folder), store, HERE)
    assert counted == [(), ()]


def test_what_the_machine_failed_at_is_tried_again_by_the_next_run(tmp_path, counted, monkeypatch):
    folder, grade_here = handed_in(tmp_path / "in", 2), runs.grade
    broken = [True, True]  # also in a new sandbox

    def fails_twice(*args):
        if broken.pop() if broken else False:
            raise NotGraded("The sandbox failed twice: no fork")
        return grade_here(*args)

    monkeypatch.setattr(runs, "grade", fails_twice)
    with Store(tmp_path / "a.sqlite") as store:
        first = runs.run(homework(), collect(folder), store, HERE)
        assert sorted(result.status for result in first.values()) == ["not graded", "ok"]
        assert len(store) == 1
        second = runs.run(homework(), collect(folder), store, HERE)
    assert [result.status for result in second.values()] == ["ok", "ok"]


def test_a_sandbox_that_dies_is_started_anew():
    wanted = homework()
    task = wanted.to_bytes(), submission(wanted, {"q1": "turned sign"}), ()
    first = runs.grade_bytes(task, HERE)
    executor = runs._executor(False, HERE.isolation, HERE.limits)
    executor.zygote.process.kill()
    executor.zygote.process.wait()
    assert runs.grade_bytes(task, HERE) == first
    executor.__exit__(None, None, None)
    runs._executor.cache_clear()


def test_a_sandbox_that_fails_is_replaced_by_another(monkeypatch, executor):
    wanted, made, broken = homework(), [], [True]

    def fails_once(*args):
        if broken:
            raise NotGraded(broken.pop())
        return grade(*args[:2], executor)

    def make(*_):
        made.append(contextlib.ExitStack())
        return made[-1]

    monkeypatch.setattr(runs, "grade", fails_once)
    monkeypatch.setattr(runs, "_executor", functools.cache(make))
    text = runs.grade_bytes((wanted.to_bytes(), submission(wanted), ()), HERE)
    assert Result.from_json(text).earned == wanted.points
    assert len(made) == 2


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


def test_twenty_kills_lose_double_and_change_nothing(tmp_path):
    """Each is killed at a moment of its run, before a write or in it."""
    folder, rng = handed_in(tmp_path / "in", 60, q2="turned sign", q5=EMPTY), random.Random(0)
    master = HOMEWORK / "logistic_regression" / "master.ipynb"
    undisturbed = start("-c", DRIVER, master, folder, tmp_path / "undisturbed.sqlite")
    go_on(undisturbed)
    undisturbed.communicate()
    wanted = contents(tmp_path / "undisturbed.sqlite")
    assert len(wanted["results"]) == 60

    path, seen = tmp_path / "killed.sqlite", {"results": {}, "questions": {}}
    for _ in range(20):
        process = start("-c", DRIVER, master, folder, path)
        go_on(process, n_writes=rng.randint(1, 24))  # eight or so a hand-in
        if rng.random() < 0.5:
            process.stdin.write("\n")  # then it dies in the midst of it, or soon after
        killed(process)
        now = contents(path) if path.exists() and path.stat().st_size else seen
        for table in seen:
            assert seen[table].items() <= now[table].items() <= wanted[table].items()
        seen = now
    assert 0 < len(seen["results"]) < 60
    last = start("-c", DRIVER, master, folder, path)
    go_on(last)
    last.communicate()
    assert contents(path) == wanted


def test_a_killed_run_leaves_no_process(tmp_path):
    folder = handed_in(tmp_path / "in", 40)
    script = DRIVER.replace("n_workers=1", "n_workers=2")
    script = "if __name__ == '__main__':" + script.replace("\n", "\n    ")
    (tmp_path / "driver.py").write_text(script)
    master = HOMEWORK / "logistic_regression" / "master.ipynb"
    process = start(tmp_path / "driver.py", master, folder, tmp_path / "a.sqlite")
    go_on(process, n_writes=1)  # so that the workers are there, and at work
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 4
    killed(process)
    _, alive = psutil.wait_procs(family, timeout=300)
    assert not alive
