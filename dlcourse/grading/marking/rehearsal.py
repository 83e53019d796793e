"""What a grader would refuse, before hand-in: the notebook is run as the grader runs it.

All cells run in a fresh process in an empty folder, and what reaches for the network or for the
student's own files fails, as it will in the sandbox. This is the student's machine and the
student's code: nothing here protects against anything.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from dlcourse.grading.check import Checks
from dlcourse.grading.marking import submission
from dlcourse.grading.release import INSTALL
from dlcourse.grading.sandbox.inside.cells import Notebook
from dlcourse.grading.sandbox.limits import Limits

LIMITS = Limits()
NETWORK = ("aiohttp", "ftplib", "http.client", "httpx", "paramiko", "requests", "smtplib", "socket")
NETWORK += ("urllib.request", "urllib3", "websockets", "yfinance")
SHELL = ("!", "%pip", "%conda", "%run", "%load", "%cd", "%%bash", "%%sh", "%%writefile")


@dataclass
class Rehearsal:
    """What was found: problems that cost points or the whole hand-in, and remarks that do not."""

    homework: str = ""
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    feedback: list[str] = field(default_factory=list)  # of the visible tests, by question
    n_passed: int = 0  # questions that pass all of them


def rehearse(path) -> Rehearsal:
    """Check the notebook at `path` as `dlcourse homework submit-check` does."""
    path = Path(path)
    with path.open("rb") as file:
        data = file.read(submission.SIZE_LIMIT_BYTES + 1)
    found = Rehearsal(submission.homework_of(data))
    if path.suffix != ".ipynb":
        found.problems.append(f"The file must be called something.ipynb, not {path.name}.")
    handed_in = submission.read(data)
    if not handed_in.is_gradable:
        found.problems.append(handed_in.message)
        return found
    if not found.homework:
        found.problems.append("The notebook does not say which homework it is. Start from the one")
        found.problems[-1] += " that you were given."
    _look_for_needs(handed_in.cells, found)
    _run(handed_in.cells, path, found)
    return found


def _look_for_needs(cells, found):
    for number, source in enumerate(cells, start=1):
        if "".join(source.split()).startswith("".join(INSTALL.split())[:80]):
            continue
        for module in submission.imports_of([source], NETWORK):
            found.problems.append(f"Code cell {number} uses {module}: a grader has no network.")
        for line in source.splitlines():
            if line.strip().startswith(SHELL):
                found.remarks.append(f"Code cell {number}: a grader skips `{line.strip()[:60]}`.")


def _run(cells, path, found):
    with tempfile.TemporaryDirectory() as folder:
        job, answer = Path(folder, "job.json"), Path(folder, "answer.json")
        job.write_text(json.dumps({"cells": cells, "folder": str(path.resolve().parent)}))
        command = [sys.executable, "-m", "dlcourse.grading.marking.rehearsal", job, answer]
        try:
            subprocess.run(
                command,
                timeout=LIMITS.notebook_wall_seconds,
                capture_output=True,
                env={**os.environ, "MPLBACKEND": "agg"},
            )
            report = json.loads(answer.read_text())
        except subprocess.TimeoutExpired:
            found.problems.append("The notebook does not come to its end. Look for endless loops.")
            return
        except (OSError, ValueError):
            found.problems.append(
                "The notebook ends its own process. Take out exit() and the like."
            )
            return
    if report["cpu_seconds"] > LIMITS.notebook_cpu_seconds:
        limit = f"{LIMITS.notebook_cpu_seconds:g} s"
        found.problems.append(
            f"All cells together compute for {report['cpu_seconds']:.0f} s, the limit is {limit}."
        )
    found.problems += report["problems"]
    found.feedback, found.n_passed = report["feedback"], report["n_passed"]


def _run_here(cells, folder) -> dict:
    """Run the cells in this process and look at what they defined."""
    notebook = Notebook(b"rehearsal", LIMITS.output_bytes, LIMITS.plot_bytes)
    needs, problems = _watch(folder), []
    started = time.process_time()
    for index, source in enumerate(cells):
        error = notebook.run_cell(index, source)["error"]
        problems += [f"Code cell {index + 1} ends with {error[0]}: {error[1]}"] if error else []
    seconds = time.process_time() - started
    checked, check = [], notebook.namespace.get("check")
    if isinstance(check, Checks):
        checked = [check(question) for question in check.functions]
        for question, functions in check.functions.items():
            missing = [name for name in functions if not callable(notebook.namespace.get(name))]
            problems += [f"{question}: `{name}` is not defined." for name in missing]
    else:
        problems.append("The cell that loads the checks is missing. Take it from the original.")
    return {
        "problems": problems + needs,
        "feedback": [repr(feedback) for feedback in checked],
        "n_passed": sum(feedback.is_passed for feedback in checked),
        "cpu_seconds": seconds,
    }


def _watch(folder) -> list[str]:
    """From now on the network and the student's own files are out of reach; attempts are listed."""
    needs, inside = [], (os.path.join(folder, ""), os.path.join(Path.home(), ""))
    libraries = tuple({sys.prefix, sys.base_prefix, *filter(None, sys.path)})

    def refuse(event, args):
        if event in ("socket.connect", "socket.getaddrinfo"):
            needs.append("The notebook reaches for the network, which a grader does not have.")
            raise PermissionError("there is no network where homework is graded")
        if event == "open" and isinstance(args[0], str):
            path = os.path.abspath(args[0])
            settings = f"{os.sep}." in path  # of a library, such as ~/.config
            if path.startswith(inside) and not path.startswith(libraries) and not settings:
                needs.append(f"The notebook opens {path}, a file that a grader does not have.")
                raise PermissionError("there are no files where homework is graded")

    sys.addaudithook(refuse)
    return needs


if __name__ == "__main__":
    job, answer = sys.argv[1:]
    order = json.loads(Path(job).read_text())
    sys.path[:] = [entry for entry in sys.path if entry]  # not the student's folder
    with open(answer, "w") as file, tempfile.TemporaryDirectory() as empty:
        os.chdir(empty)
        json.dump(_run_here(order["cells"], order["folder"]), file)
        os.chdir(os.sep)
