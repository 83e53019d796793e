"""Results outlive kills: nothing is lost, doubled or changed, and only what is new is graded."""

import functools
import hashlib
import re
import sqlite3
from dataclasses import replace
from types import SimpleNamespace

import pytest

from dlcourse.grading.marking import runs
from dlcourse.grading.marking.collection import collect
from dlcourse.grading.marking.grade import NotGraded, grade
from dlcourse.grading.marking.keys import Conditions, Keys, grader_version
from dlcourse.grading.marking.results import Result
from dlcourse.grading.marking.runs import Setting
from dlcourse.grading.marking.store import Store
from dlcourse.grading.sandbox.execution import Executor
from tests.library.grading.samples import homework, submission

HERE = Setting(n_workers=1, isolation="untrusted marks")


@pytest.fixture(scope="module")
def executor():
    with Executor(isolation="untrusted marks") as executor:
        yield executor


@pytest.fixture
def counted(monkeypatch, executor):
    """Grade here, in one sandbox for all tests; the list gets what was asked each time."""
    asked = []

    def grade_here(homework, data, executor, only, *more):
        asked.append(only)
        return grade(homework, data, executor, only, *more)

    monkeypatch.setattr(runs, "grade", grade_here)
    monkeypatch.setattr(runs, "_executor", functools.cache(lambda *_: executor))
    return asked


def key_of(wanted, data, setting=HERE, sandbox="bubblewrap"):
    keys = Keys(wanted, setting.isolation, setting.limits, setting.secret)
    return keys.of(hashlib.sha256(data).hexdigest(), data, Conditions(sandbox, ("python 3",), "p"))


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


def test_results_come_back_as_they_were(tmp_path, executor):
    wanted = homework()
    data = submission(wanted, {"q1": "turned sign"})
    key, other = key_of(wanted, data), key_of(wanted, b"{}")
    result = replace(grade(wanted, data, executor), key=key.result)
    for _ in range(2):  # the second time from disk, and adding it again changes nothing
        with Store(tmp_path / "a.sqlite") as store:
            store.add(key, result)
            assert store.find(key) == store.full(result.light()) == store.ran(key) == result
            assert store.find(other) is store.ran(other) is None
            assert store.known(key) == {q.id: q for q in result.questions}
            assert store.known(other) == {}
            assert len(store) == 1
            assert store.notes == []
    assert re.fullmatch(r"[\d.]+\+[0-9a-f]{16}", grader_version())


def test_rows_cannot_be_changed_or_deleted(tmp_path, executor):
    wanted = homework()
    data = submission(wanted)
    with Store(tmp_path / "a.sqlite") as store:
        store.add(key_of(wanted, data), grade(wanted, data, executor))
    connection = sqlite3.connect(tmp_path / "a.sqlite")
    for order in ("UPDATE results SET record = ''", "DELETE FROM results", "DELETE FROM questions"):
        with pytest.raises(sqlite3.IntegrityError, match="added, never changed"):
            connection.execute(order)
    connection.close()


DAMAGE = {
    "no database": lambda data: b"not a database at all" * 100,
    "cut": lambda data: data[: len(data) // 2],
    "a page overwritten": lambda data: data[:4096] + b"x" * 8192 + data[4096 + 8192 :],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_store_is_put_aside_and_all_is_graded_again(tmp_path, counted, damage):
    folder, path = handed_in(tmp_path / "in", 3), tmp_path / "results.sqlite"
    with Store(path) as store:
        first = runs.run(homework(), collect(folder), store, HERE)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with Store(path) as store:
        assert runs.run(homework(), collect(folder), store, HERE) == first
        (note,) = store.notes
    assert f"{path} is damaged" in note
    assert "kept as results.sqlite.damaged-1" in note
    with Store(path) as store:
        assert runs.run(homework(), collect(folder), store, HERE) == first
        assert store.notes == []
    assert len(counted) == 6
    assert (tmp_path / "results.sqlite.damaged-1").read_bytes() == damaged


def test_where_no_store_can_be_written_grading_goes_on_and_says_so(tmp_path, counted):
    folder, path = handed_in(tmp_path / "in", 1), tmp_path / "results.sqlite"
    path.mkdir()
    for n in (1, 2):
        with Store(path) as store:
            (result,) = runs.run(homework(), collect(folder), store, HERE).values()
            assert store.full(result).cells
        assert "cannot be written" in store.notes[0]
        assert (result.earned, len(counted)) == (23, n)


def test_a_disk_that_fills_up_costs_no_mark(tmp_path, counted):
    folder = handed_in(tmp_path / "in", 2)
    with Store(tmp_path / "a.sqlite") as store:
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        found = runs.run(homework(), collect(folder), store, HERE)
        assert {result.earned for result in found.values()} == {23}
        assert "can no longer be kept (database or disk is full)" in store.notes[0]
        assert len(store.notes) == 1


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
        assert same == replace(before, key=same.key)


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
        assert sorted(result.status for result in first.values()) == ["not graded", "untrusted"]
        assert {result.earned for result in first.values()} == {None, 23}
        assert len(store) == 1
        second = runs.run(homework(), collect(folder), store, HERE)
    assert [result.earned for result in second.values()] == [23, 23]


def test_a_sandbox_that_dies_is_started_anew():
    wanted = homework()
    task = runs.Task(wanted.to_bytes(), submission(wanted, {"q1": "turned sign"}))
    try:
        first = runs.grade_task(task, HERE)
        executor = runs._executor(*runs._sandbox_of(wanted, HERE))
        executor.zygote.process.kill()
        executor.zygote.process.wait()
        assert Result.from_json(first.result).earned == 19
        assert runs.grade_task(task, HERE) == first
    finally:
        runs._close_executor()


def test_a_sandbox_that_fails_is_replaced_by_another(monkeypatch, executor):
    wanted, made, broken = homework(), [], [True]

    def fails_once(homework, data, given, *more):
        if broken:
            raise NotGraded(broken.pop())
        return grade(homework, data, executor, *more)

    def make(*_):
        made.append(SimpleNamespace(isolation_used="bubblewrap"))
        return made[-1]

    monkeypatch.setattr(runs, "grade", fails_once)
    monkeypatch.setattr(runs, "_executor", functools.cache(make))
    graded = runs.grade_task(runs.Task(wanted.to_bytes(), submission(wanted)), HERE)
    assert Result.from_json(graded.result).earned == wanted.points
    assert len(made) == 2


def test_what_cells_showed_first_is_kept_when_a_fixed_test_runs_them_again(
    tmp_path, counted, monkeypatch
):
    """A second run may know what the hidden inputs of the first one were."""
    folder, wanted, grade_here = handed_in(tmp_path / "in", 1), homework(), runs.grade
    shows = iter(["first", "second"])

    def grade_and_show(*args):
        result = grade_here(*args)
        return replace(result, cells=(replace(result.cells[0], stdout=next(shows)),))

    monkeypatch.setattr(runs, "grade", grade_and_show)
    with Store(tmp_path / "a.sqlite") as store:
        for asked in (wanted, changed(wanted, "q3", points=4)):
            (result,) = runs.run(asked, collect(folder), store, HERE).values()
            assert [cell.stdout for cell in store.full(result).cells] == ["first"]
    assert list(shows) == []
