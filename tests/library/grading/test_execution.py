"""What a test may rely on when it calls a student's functions, and what honest work costs."""

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dlcourse.grading.sandbox import allowance, values
from dlcourse.grading.sandbox.execution import (
    BadValue,
    CallTimeout,
    Executor,
    Limits,
    MissingFunction,
    StudentError,
    StudentGone,
)
from tests.library.grading.attacks import homework, world

QUICK = replace(Limits(), call_cpu_seconds=0.2, notebook_cpu_seconds=0.5, n_restarts=2)
N_HONEST = 100


@pytest.fixture(scope="module")
def executor():
    with Executor(QUICK) as executor:
        yield executor


def student_of(executor, *cells, seed_material=b"seed"):
    return executor.run(cells, seed_material=seed_material)


# -------------------------------------------------------------------------------------- cells


def test_cells_print_what_a_notebook_would_show(executor):
    cells = ["x = 2\nprint('hello')\nx + 1", "x;", "None", "display(x)", "", "# only a comment"]
    with student_of(executor, *cells) as student:
        assert [o.stdout for o in student.outcomes] == ["hello\n3\n", "", "", "2\n", "", ""]
        assert all(o.error is None for o in student.outcomes)


def test_a_cell_that_fails_is_recorded_and_the_next_one_runs(executor):
    cells = ["a = 1\n1 / 0", "def f(: pass", "raise SystemExit(3)", "b = a + 1\nb"]
    with student_of(executor, *cells) as student:
        errors = [o.error and o.error.type for o in student.outcomes]
        assert errors == ["ZeroDivisionError", "SyntaxError", "SystemExit", None]
        assert student.outcomes[0].error.text == "division by zero (cell 1, line 2)"
        assert student.outcomes[3].stdout == "2\n"


def test_standard_error_and_warnings_are_kept_apart(executor):
    with student_of(executor, "import sys, warnings\nprint(1, file=sys.stderr)") as student:
        assert (student.outcomes[0].stdout, student.outcomes[0].stderr) == ("", "1\n")


def test_plots_come_back_as_pictures(executor):
    cells = ["%matplotlib inline\nfrom matplotlib import pyplot", "pyplot.plot([1, 2])", "1"]
    with student_of(executor, *cells) as student:
        assert [len(o.plots) for o in student.outcomes] == [0, 1, 0]
        assert student.outcomes[1].plots[0].startswith(b"\x89PNG")


@pytest.mark.parametrize("sides", [(4001, 10), (0, 10), (10, 2**31)])
def test_a_picture_that_would_fill_the_memory_of_its_viewer_is_dropped(sides, executor):
    header = "".join(f"\\x{byte:02x}" for side in sides for byte in side.to_bytes(4, "big"))
    cells = [
        "import dlcourse.grading.sandbox.inside.cells as inside\n"
        "from dlcourse.grading.sandbox import values\n"
        f"data = b'\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR{header}'\n"
        "small = b'\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR\\0\\0\\0\\1\\0\\0\\0\\1'\n"
        "inside.Notebook._plots = lambda self: [values.encode(data), values.encode(small)]"
    ]
    with student_of(executor, *cells) as student:
        assert [plot[16:] for plot in student.outcomes[0].plots] == [b"\0\0\0\1\0\0\0\1"]


def test_a_line_keeps_its_number_whatever_magic_stands_above(executor):
    cells = ["%%time\n%matplotlib inline\n\n1 / 0", "\n%%capture\n!ls \\\n  -l\n1 / 0"]
    with student_of(executor, *cells) as student:
        texts = [outcome.error.text for outcome in student.outcomes]
    assert texts == [f"division by zero (cell {n}, line {line})" for n, line in ((1, 4), (2, 5))]


def test_pictures_are_limited_in_pixels_and_number_over_all_cells():
    drawing = "from matplotlib import pyplot\nfor _ in range(9): pyplot.figure(figsize=(1, 1))"
    limits = replace(Limits(), n_plots=20, notebook_cpu_seconds=60.0)
    with Executor(limits) as executor, executor.run([drawing] * 3, seed_material=b"") as student:
        assert [len(outcome.plots) for outcome in student.outcomes] == [9, 9, 2]
    limits = replace(limits, plot_pixels=10 * 72 * 72)
    with Executor(limits) as executor, executor.run([drawing] * 2, seed_material=b"") as student:
        assert [len(outcome.plots) for outcome in student.outcomes] == [9, 1]


def test_results_in_any_guise_arrive_as_numbers(executor):
    cells = [
        "import collections, numpy as np\nimport pandas as pd",
        "def series(x): return pd.Series(x)",
        "def matrix(x): return np.matrix(x)",
        "def queue(x): return collections.deque(x)",
        "def wide(x): return np.longdouble(x[0])",
        "def masked(x): return np.ma.array(x)",
        "def pair(x): return collections.namedtuple('Pair', 'a b')(x, 1)",
        "def half(x): return np.ma.array(x, mask=[True, False])",
    ]
    x = np.array([1.0, 2.0])
    with Executor() as executor, student_of(executor, *cells) as student:
        assert student.outcomes[0].error is None
        for name in ("series", "queue", "masked"):
            np.testing.assert_array_equal(getattr(student, name)(x), x, strict=True)
        np.testing.assert_array_equal(student.matrix(x), x[None], strict=True)
        assert student.wide(x) == 1.0
        assert type(student.pair(x)) is tuple
        with pytest.raises(BadValue, match="masked entries: fill them"):
            student.half(x)


def test_ipython_is_neither_needed_nor_missed(executor):
    cells = ["%pip install nothing\n!ls\nget_ipython().run_line_magic('time', '')\nx = 1", "x"]
    with student_of(executor, *cells) as student:
        assert student.outcomes[0].error is None
        assert student.outcomes[1].stdout == "1\n"


def test_names_of_the_notebook_are_those_of_main(executor):
    cells = [
        "__name__",
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: 'int' = 1\nP()",
        "import inspect\ndef f(): return 1\ninspect.getsource(f)",
    ]
    with student_of(executor, *cells) as student:
        assert student.outcomes[0].stdout == "'__main__'\n"
        assert student.outcomes[1].stdout == "P(x=1)\n"
        assert "def f(): return 1" in student.outcomes[2].stdout


def test_output_is_cut_at_its_limit():
    cells = ["print('x' * 5000)", "print('y' * 5000)"]
    with Executor(replace(QUICK, output_bytes=6000)) as executor:
        with executor.run(cells, seed_material=b"") as student:
            first, second = (o.stdout for o in student.outcomes)
    assert first == "x" * 5000 + "\n"
    assert second.startswith("y" * 990)
    assert "characters cut" in second
    assert len(second) < 1100


# -------------------------------------------------------------------------------------- calls


def test_functions_are_called_by_value(executor):
    cells = ["kept = []\ndef f(x, scale=1):\n    kept.append(x)\n    x *= scale\n    return x"]
    x = np.array([1.0, 2.0])
    with student_of(executor, *cells) as student:
        assert "f" in student
        np.testing.assert_array_equal(student.f(x, scale=3), [3.0, 6.0])
        np.testing.assert_array_equal(x, [1.0, 2.0])
        result, (after,) = student.f.with_args(x, scale=3)
        np.testing.assert_array_equal(after, result)
        np.testing.assert_array_equal(x, [1.0, 2.0])


def test_failures_say_what_went_wrong(executor):
    cells = [
        "def fails(x): raise KeyError('which')",
        "def odd(): return object()",
        "def prints(): print('not shown'); return 1",
        "number = 3",
    ]
    with student_of(executor, *cells) as student:
        with pytest.raises(StudentError, match="KeyError: 'which'") as failure:
            student.fails(1)
        assert failure.value.type == "KeyError"
        with pytest.raises(StudentError, match="positional argument"):
            student.fails()
        with pytest.raises(BadValue, match="`odd` returned no data: a value must be a number"):
            student.odd()
        assert student.prints() == 1
        for name in ("number", "nothing", "__len__", "_repr_html_"):
            with pytest.raises(MissingFunction, match=name):
                getattr(student, name)
        assert not hasattr(student, "nothing")


def test_arguments_that_are_no_data_are_the_graders_mistake(executor):
    with student_of(executor, "def f(x): return x") as student:
        with pytest.raises(TypeError, match="got function"):
            student.f(student_of)
        with pytest.raises(ValueError, match="may have"):
            student.f(np.zeros(3_000_000))
        assert student.f(1) == 1


def test_a_loop_in_one_question_leaves_the_next_its_points(executor):
    cells = [
        "def loops():\n    while True: pass",
        "import os\ndef dies(): os._exit(3)",
        "def works(): return 42\nprint('ran')",
    ]
    with student_of(executor, *cells) as student:
        assert student.works() == 42
        with pytest.raises(CallTimeout, match="`loops` took more than 0.2 seconds of computing"):
            student.loops()
        assert student.works() == 42
        with pytest.raises(StudentGone, match="`dies` ended the process: it ended itself with"):
            student.dies()
        assert student.works() == 42
        assert [o.stdout for o in student.outcomes] == ["", "", "ran\n"]
        with pytest.raises(CallTimeout):
            student.loops()
        with pytest.raises(StudentGone, match="never came to its end"):
            student.works()


@pytest.mark.parametrize(
    ("cell", "error", "text"),
    [
        ("while True: pass", "TimeLimit", "more than 0.5 seconds of computing"),
        ("import os\nos._exit(1)", "Crash", "ended itself with status 1"),
        ("import ctypes\nctypes.string_at(0)", "Crash", "SIGSEGV"),
    ],
)
def test_a_cell_that_never_comes_back_is_left_out(cell, error, text, executor):
    with student_of(executor, "a = 1", cell, "def f(): return a") as student:
        assert [o.error and o.error.type for o in student.outcomes] == [None, error, None]
        assert text in student.outcomes[1].error.text
        assert student.f() == 1


def test_a_notebook_with_too_many_loops_ends(executor):
    with student_of(executor, *["while True: pass"] * 5, "def f(): return 1") as student:
        types = [o.error.type for o in student.outcomes]
        assert types == ["TimeLimit"] * 3 + ["NotRun"] * 3
        with pytest.raises(MissingFunction):
            student.f()


def test_a_notebook_of_any_size_and_bytes_gets_an_outcome(executor):
    cells = ["x = 1 #" + "a" * 17_000_000, "def f(): return 1"]
    with student_of(executor, *cells) as student:
        assert [o.error.type for o in student.outcomes] == ["NotRun", "NotRun"]
        with pytest.raises(MissingFunction):
            student.f()
    strange = ["\0", "\ud800 = 1", "(" * 5000, "%%", "%%nothing at all", "\t x", "lambda: (yield)"]
    with student_of(executor, *strange, "def f(): return 1") as student:
        assert len(student.outcomes) == len(strange) + 1
        assert student.f() == 1


def test_sleeping_is_not_computing_but_has_an_end():
    cells = ["import time\ndef nap(seconds):\n    time.sleep(seconds)\n    return seconds"]
    with Executor(QUICK) as executor:
        with executor.run(cells, seed_material=b"") as student:
            assert student.nap(0.3) == 0.3  # longer than the limit of CPU seconds
        executor.limits = replace(QUICK, call_wall_seconds=0.6)
        with executor.run(cells, seed_material=b"") as student:
            with pytest.raises(CallTimeout, match="0.6 seconds of waiting"):
                student.nap(600.0)


def test_sleeping_everywhere_ends_with_the_budget_of_a_hand_in():
    """Each cell and each call has a time of its own, and all of them have one together."""
    nap = "import time\ntime.sleep(600)"
    limits = replace(
        Limits(), notebook_wall_seconds=0.5, call_wall_seconds=0.5, submission_wall_seconds=1.2
    )
    with Executor(limits) as executor:
        cells = ["def f():\n    import time\n    time.sleep(600)", nap, nap, nap, "x = 1"]
        with executor.run(cells, seed_material=b"") as student:
            errors = [o.error for o in student.outcomes if o.error]
            assert "0.5 seconds of waiting" in errors[0].text
            assert "the rest of the 1.2 seconds of a hand-in" in errors[2].text
            assert errors[3].type == "NotRun"
        with executor.run(cells[:1], seed_material=b"") as student:
            for words in ("0.5 seconds", "0.5 seconds", "the rest of the 1.2 seconds"):
                with pytest.raises(CallTimeout, match=words):
                    student.f()
            with pytest.raises(StudentGone, match="its time is over"):
                student.f()


class Machine:
    """A fork and a clock, on a machine that does as it is told."""

    def __init__(self, monkeypatch):
        self.now, self.delayed, self.delays = 0.0, 0.0, self
        monkeypatch.setattr(allowance.time, "monotonic", lambda: self.now)

    def cpu_seconds(self):
        return 0.0

    def newly_seconds(self):
        new, self.delayed = self.delayed, 0.0
        return new

    def until_time_is_up(self, ask, sleep=0.0, late=0.0, most=10_000):
        """Seconds of waiting, a share `sleep` of them asleep and the rest kept from running.

        The grader comes back `late` each time.
        """
        waited = 0.0
        for _ in range(most):
            try:
                seconds = ask()
            except allowance.TimeUp:
                return waited
            self.now += seconds + late
            self.delayed += seconds * (1 - sleep)
            waited += seconds
        return None


@pytest.mark.parametrize(("sleep", "late"), [(1.0, 0.0), (1.0, 3600.0), (0.25, 0.0), (0.25, 60.0)])
def test_only_what_a_notebook_sleeps_is_charged(monkeypatch, sleep, late):
    """A machine may keep it from running, or stop the grader for an hour: that is not its time."""
    machine = Machine(monkeypatch)
    budget = allowance.Budget(300.0)
    ask = allowance.Allowance(machine, 4.0, 30.0, budget)
    assert machine.until_time_is_up(ask, sleep, late) == pytest.approx(30 / sleep, abs=3)
    assert budget.left == pytest.approx(270, abs=2)


def test_a_notebook_that_is_never_let_run_is_waited_for(monkeypatch):
    machine = Machine(monkeypatch)
    ask = allowance.Allowance(machine, 4.0, 30.0, allowance.Budget(300.0))
    assert machine.until_time_is_up(ask) is None


def test_a_trickle_of_bytes_gains_no_time(monkeypatch):
    machine = Machine(monkeypatch)
    ask = allowance.Allowance(machine, 4.0, 30.0, allowance.Budget(300.0))
    with contextlib.suppress(allowance.TimeUp):
        while machine.now < 1_000:
            ask()
            machine.now += 0.001  # long before it was to be asked again
    assert 25 < machine.now < 31


def test_a_busy_machine_delays_and_an_idle_process_is_not_delayed(executor):
    """What the kernel says of a process that has to share its processor, and of one asleep."""
    cells = ["import os, time\ndef spin(n):\n    while n: n -= 1\ndef nap():\n    time.sleep(0.5)"]
    with executor.run(cells, seed_material=b"") as student:
        fork = executor_fork(student)
        (processor, *_) = os.sched_getaffinity(0)
        load = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            os.sched_setaffinity(load.pid, [processor])
            os.sched_setaffinity(fork.host_pid, [processor])
            fork.delays.newly_seconds()
            before, start = sum(fork.delays.seen.values()), time.monotonic()
            student.spin(3_000_000)
            took = time.monotonic() - start
        finally:
            load.kill()
            load.wait()
        fork.delays.newly_seconds()
        delayed = (sum(fork.delays.seen.values()) - before) / 1e9
        if Path("/proc/self/schedstat").exists():
            assert 0.001 < delayed < took
        start = time.monotonic()
        student.nap()
        assert fork.delays.newly_seconds() < time.monotonic() - start - 0.4


def executor_fork(student):
    """The fork that a student's functions are in."""
    return student.spin._call.__self__.fork


def test_memory_has_a_limit_that_python_can_report(executor):
    cells = ["def take(n): return len(bytearray(n))"]
    with student_of(executor, *cells) as student:
        assert student.take(2**24) == 2**24
        with pytest.raises(StudentError, match="MemoryError"):
            student.take(2**31)
        assert student.take(1) == 1


def test_two_runs_of_one_submission_agree(executor):
    cells = [
        "import random\nimport numpy as np\nrng = np.random.default_rng",
        "(np.random.normal(), random.random(), {'a', 'b'}, rng().normal(), rng().normal())",
        "rng(0).normal()",
    ]
    shown = []
    for seed_material in (b"one", b"one", b"two"):
        with student_of(executor, *cells, seed_material=seed_material) as student:
            shown.append([o.stdout for o in student.outcomes])
    assert shown[0] == shown[1]
    assert shown[0][1] != shown[2][1]
    assert float(shown[0][2]) == np.random.default_rng(0).normal()


def test_a_warm_process_that_has_died_is_replaced():
    with Executor(QUICK) as executor:
        executor.zygote.process.kill()
        executor.zygote.process.wait()
        with student_of(executor, "def f(): return 1") as student:
            assert student.f() == 1


def test_an_executor_that_was_not_entered_says_so():
    executor = Executor()
    with pytest.raises(ValueError, match="with Executor"), executor.run([], seed_material=b""):
        pass


@pytest.mark.parametrize(("name", "value"), [("call_cpu_seconds", 0), ("memory_bytes", np.inf)])
@pytest.mark.bad_input
def test_limits_are_positive_and_finite(name, value):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})


def test_torch_works_in_a_fork_of_a_warm_process(rng):
    cells = [
        "import torch",
        "def slope(x):\n    x = x.clone().requires_grad_()\n    (x**3).sum().backward()\n"
        "    return x.grad",
        "def train(n):\n    layer = torch.nn.Linear(2, 1)\n"
        "    optimizer = torch.optim.AdamW(layer.parameters())\n    for _ in range(n):\n"
        "        layer(torch.ones(3, 2)).sum().backward()\n        optimizer.step()\n"
        "    return bool(torch.isfinite(layer.weight).all())",
    ]
    x = rng.normal(size=4)
    with Executor(with_torch=True) as executor:
        for _ in range(2):
            with executor.run(cells, seed_material=b"") as student:
                assert [o.error for o in student.outcomes] == [None] * 3
                np.testing.assert_allclose(student.slope(values.Tensor(x)), 3 * x**2, rtol=1e-12)
                assert student.train(3) is True


# --------------------------------------------------------------------------------------- costs


def zygote_pid(executor):
    """The warm process as this machine numbers it: the one without children of its own."""
    parents, outermost = world.processes(), executor.zygote.process.pid
    (pid,) = {outermost, *world.descendants(outermost)} - {*parents.values()}
    return pid


def cpu_seconds_inside(executor):
    """CPU seconds of the zygote and of all the forks that have ended."""
    fields = Path(f"/proc/{zygote_pid(executor)}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / 100


def test_a_submission_costs_a_tenth_of_a_process_of_its_own():
    """In CPU seconds of this machine, as it is now."""
    n_submissions, cells = 60, [homework.HONEST] + ["x = 1"] * 5
    before = sum(os.times()[2:4])
    subprocess.run([sys.executable, "-c", "import numpy, matplotlib.pyplot"], check=True)
    of_a_process = sum(os.times()[2:4]) - before
    with Executor() as executor:
        before = time.process_time() + cpu_seconds_inside(executor)
        for _ in range(n_submissions):
            assert world.grade(executor, cells).mark == homework.FULL_MARK
        spent = time.process_time() + cpu_seconds_inside(executor) - before
        status = Path(f"/proc/{zygote_pid(executor)}/status").read_text()
    peak_kilobytes = int(status.partition("VmHWM:")[2].split()[0])
    assert spent / n_submissions < of_a_process / 10
    assert peak_kilobytes < 250 * 1024


def test_honest_submissions_under_load_all_get_full_marks():
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        with Executor() as executor:
            reports = [world.grade(executor, [homework.HONEST]) for _ in range(N_HONEST)]
    finally:
        for process in load:
            process.kill()
            process.wait()
    wrong = [(r.mark, r.failure, r.feedback) for r in reports if r.mark != homework.FULL_MARK]
    assert wrong == []
