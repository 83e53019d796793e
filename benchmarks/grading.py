"""What grading costs, beside otter-grader and nbgrader on the same homework and submissions.

`python benchmarks/grading.py`. All run as their users run them: as commands, on Linux, in a
sandbox where they have one (only ours has). Processor seconds count the command with all its
children, the ended ones included. The peers live in an environment of their own, below `_build/`.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from time import monotonic, process_time, sleep

import grading_peers
import numpy as np
import psutil
from pairs import ROOT

sys.path.insert(0, str(ROOT))
from dlcourse.grading import master, release
from dlcourse.grading.marking import grade
from dlcourse.grading.recording import InProcess, attempt, namespace_of

N_SUBMISSIONS = 200
N_WITH_TORCH = 40
N_FOR_PEERS = {"otter": 4, "nbgrader": 12}
AIMS = {"overhead": 0.050, "with torch": 0.5, "otter": 50, "nbgrader": 15, "megabytes": 250}
GRADE = """
import sys
from pathlib import Path
import psutil
from dlcourse.grading import homework
from dlcourse.grading.marking import folder
bundle = homework.Homework.from_bytes(Path(sys.argv[1]).read_bytes())
setting = folder.Setting(n_workers=int(sys.argv[4]))
folder.grade_folder(bundle, sys.argv[2], sys.argv[3], setting)
me = psutil.Process()
print(sum(sum(p.cpu_times()[:4]) for p in [me, *me.children(recursive=True)]))
"""


def submissions(homework, n):
    """Honest notebooks: solutions, every third one with a typical mistake, no two alike."""
    for i in range(n):
        cells = release.student_notebook(homework)
        for cell in cells["cells"]:
            if cell["id"].startswith("answer-"):
                question = homework.question(cell["id"].removeprefix("answer-"))
                wrong = i % 3 == 0 and question.id == f"q{1 + i % 5}"
                answer = question.mistakes[i % len(question.mistakes)] if wrong else question
                cell["source"] = answer.source if wrong else answer.solution
        cells["metadata"]["student"] = i
        yield f"s{i:03}", release.to_bytes(cells)


def seconds(command, **options):
    """(processor seconds of a command and its children, seconds on the wall)."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), monotonic()
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode:
        raise RuntimeError(f"{command[:3]} failed:\n{run.stdout[-2000:]}\n{run.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, monotonic() - start


def students_own(homework, data):
    """Processor seconds of the cells and the calls alone: no grader can do with less."""
    cells = [cell["source"] for cell in json.loads(data)["cells"] if cell["cell_type"] == "code"]
    sources = grade.runnable(homework, tuple(cells))
    tests = grade._compiled(homework).tests.values()
    start = process_time()
    student = InProcess(namespace_of("def check(question): pass", *sources))
    for test, takes_rng in tests:
        rng = (np.random.default_rng(0),) if takes_rng else ()
        with np.errstate(all="ignore"):
            attempt(test, student, *rng)
    return process_time() - start


def ours(homework, n, n_workers, folder):
    """(processor seconds, seconds on the wall) of a whole run, reports included.

    The processes of the sandbox are ended, not waited for, so the run itself counts them before.
    """
    folder.mkdir()
    for name, data in submissions(homework, n):
        (folder / f"{name}.ipynb").write_bytes(data)
    bundle = folder.with_suffix(".json")
    bundle.write_bytes(homework.to_bytes())
    command = [sys.executable, "-c", GRADE, bundle, folder, folder.with_suffix(".out"), n_workers]
    start = monotonic()
    run = subprocess.run(
        list(map(str, command)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if run.returncode:
        raise RuntimeError(f"A run of ours failed:\n{run.stderr[-2000:]}")
    return float(run.stdout), monotonic() - start


def peak_megabytes(work):
    """(result of `work()`, largest memory of its worker and sandbox together, in MB).

    Shared pages are divided among those who share them.
    """
    peak, is_over = [0.0], threading.Event()

    def watch():
        while not is_over.is_set():
            total = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:  # it ended in the meantime
                    continue
            peak[0] = max(peak[0], total / 1e6)
            sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return work(), peak[0]
    finally:
        is_over.set()
        watcher.join()


def show(name, value, aim, unit, better):
    met = {"less": value <= aim, "more": value >= aim}[better] if aim else True
    aimed = f"{'at most' if better == 'less' else 'at least'} {aim:g}" if aim else "-"
    print(f"{name:<52}{value:>10.3g} {unit:<8}{aimed:>14}{'' if met else '   MISSED'}")


def main():
    homework = master.read(ROOT / "homework" / "logistic_regression" / "master.ipynb")
    print(f"\nGrading {homework.name}, {N_SUBMISSIONS} submissions on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        sample = [data for _, data in submissions(homework, 20)]
        own = float(np.median([students_own(homework, data) for data in sample]))
        work = lambda: ours(homework, N_SUBMISSIONS, 1, place / "one")  # noqa: E731
        (cpu, wall), megabytes = peak_megabytes(work)
        each = cpu / N_SUBMISSIONS
        show("student's own compute, CPU a submission", own, None, "s", "less")
        show("overhead beyond it, CPU a submission", each - own, AIMS["overhead"], "s", "less")
        show("one worker, wall a submission", wall / N_SUBMISSIONS, None, "s", "less")
        show(
            "memory of a worker with its sandbox, peak", megabytes, AIMS["megabytes"], "MB", "less"
        )
        _, wall = ours(homework, N_SUBMISSIONS, 2, place / "two")
        show("two workers, wall a submission", wall / N_SUBMISSIONS, None, "s", "less")
        cpu, _ = ours(replace(homework, needs_torch=True), N_WITH_TORCH, 1, place / "torch")
        torch = cpu / N_WITH_TORCH - own
        show("overhead with torch, CPU a submission", torch, AIMS["with torch"], "s", "less")
        for name, measure in grading_peers.PEERS.items():
            peers = list(submissions(homework, N_FOR_PEERS[name]))
            cpu, wall = measure(homework, peers, place / name, seconds)
            show(f"{name}, CPU a submission", cpu, None, "s", "less")
            show(f"{name}, wall a submission", wall, None, "s", "less")
            show(f"{name}, CPU as a multiple of ours", cpu / each, AIMS[name], "times", "more")


if __name__ == "__main__":
    main()
