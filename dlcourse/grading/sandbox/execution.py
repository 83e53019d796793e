"""Runs a submission where it can harm nothing, and hands its functions to the tests::

    with Executor() as executor:
        with executor.run(cells, seed_material=key) as student:
            student.gradient(beta, X, y)

The tests and their answers stay in this process. The notebook runs in a fork of a warm process
inside a sandbox (`sandbox`), and what it sends back is data (`values`) in frames (`protocol`).
"""

import contextlib
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlcourse.grading.sandbox import files
from dlcourse.grading.sandbox.failures import (
    BadValue,
    CallTimeout,
    KilledFromOutside,
    MissingFunction,
    ProtocolError,
    SandboxEnded,
    SandboxUnavailable,
    StudentError,
    StudentFailure,
    StudentGone,
)
from dlcourse.grading.sandbox.limits import Limits
from dlcourse.grading.sandbox.proxy import CellError, CellOutcome, Student, StudentFunction

if TYPE_CHECKING:
    from dlcourse.grading.sandbox.host import Zygote
    from dlcourse.grading.sandbox.submission_run import SubmissionRun

__all__ = [
    "BadValue",
    "CallTimeout",
    "CellError",
    "CellOutcome",
    "Executor",
    "Limits",
    "MissingFunction",
    "ProtocolError",
    "SandboxUnavailable",
    "Student",
    "StudentError",
    "StudentFailure",
    "StudentFunction",
    "StudentGone",
]

STRICT, UNTRUSTED = "strict", "untrusted marks"
_CURE = (
    "On Linux, `apt install bubblewrap` (or `dnf install bubblewrap`) is enough. On macOS and "
    "Windows, grade in a Linux machine: Docker, a virtual machine or WSL 2. The isolation "
    f"{UNTRUSTED!r} runs without one, but then a student can forge any mark."
)


class Executor:
    """A sandbox that runs one submission after the other. Use it as a context manager.

    `isolation` "strict" proves the sandbox before the first submission, or raises
    SandboxUnavailable; "untrusted marks" takes what this machine has. `with_torch` imports torch
    once, for homework that uses it. `hidden_modules` are modules that a notebook may not import,
    of this package ("dlcourse.optim") or of others ("sklearn"), for they answer a question.
    `private` are files and folders of this run that the proof tries to reach: the bundle, what was
    handed in, the output. Enter it in the main thread: a sandbox ends with the thread that has
    started it. Raises `ValueError` for another isolation, or modules that cannot be withheld.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        isolation: str = STRICT,
        with_torch: bool = False,
        hidden_modules: Sequence[str] = (),
        private: Sequence[Path | str] = (),
    ):
        if isolation not in (STRICT, UNTRUSTED):
            raise ValueError(f"`isolation` must be {STRICT!r} or {UNTRUSTED!r}, got {isolation!r}.")
        self.limits = limits or Limits()
        self.isolation, self.with_torch = isolation, with_torch
        self.hidden_modules = tuple(hidden_modules)
        files.hidden(self.hidden_modules)  # now, lest a wrong name should look like a bad machine
        if with_torch and any(module.partition(".")[0] == "torch" for module in hidden_modules):
            raise ValueError(
                f"Homework that needs torch cannot withhold a part of it, got {[*hidden_modules]}."
            )
        self.private = tuple(Path(path).absolute() for path in private)
        self.zygote, self.refusals = None, []  # why the kinds of sandbox before this one failed

    def __enter__(self) -> "Executor":
        if sys.platform != "linux":
            raise SandboxUnavailable(f"There is no sandbox on {platform.system()}. {_CURE}")
        self.refusals = []
        kinds = ["bubblewrap", "landlock"] + ["untrusted marks"] * (self.isolation == UNTRUSTED)
        for kind in kinds:
            try:
                self.zygote = self._proven(kind)
                return self
            except SandboxUnavailable as refusal:
                self.refusals.append(str(refusal))
        tried = "\n".join(f"  - {refusal}" for refusal in self.refusals)
        raise SandboxUnavailable(f"No sandbox holds on this machine.\n{tried}\n{_CURE}")

    def __exit__(self, *_):
        if self.zygote:
            self.zygote.close()
            self.zygote = None

    def start(self, kind: str) -> "Zygote":
        """A zygote in a sandbox of this kind."""
        from dlcourse.grading.sandbox import host  # what only Linux has is asked for there

        withheld, private = self.hidden_modules, self.private
        return host.Zygote(kind, self.limits, self.with_torch, withheld, private)

    def _proven(self, kind):
        """A proven zygote. One that ended meanwhile says nothing of its kind, so it is tried again.

        A proof that came to its end and failed is not.
        """
        try:
            return self._proven_once(kind)
        except (SandboxEnded, KilledFromOutside):
            pass
        try:
            return self._proven_once(kind)
        except KilledFromOutside as error:
            raise SandboxUnavailable(f"{kind}: {error}, twice") from None

    def _proven_once(self, kind):
        from dlcourse.grading.sandbox import self_test

        zygote = self.start(kind)
        try:
            if kind != UNTRUSTED:
                self_test.prove(zygote)
        except BaseException:
            zygote.close()
            raise
        return zygote

    def new_run(self, *about) -> "SubmissionRun":
        """One submission that has not begun; a rehearsal watches it besides."""
        from dlcourse.grading.sandbox.submission_run import SubmissionRun

        return SubmissionRun(*about)

    @property
    def isolation_used(self) -> str:
        """ "bubblewrap", "landlock" or "untrusted marks"; known once the executor is entered."""
        return self.zygote.isolation

    @contextlib.contextmanager
    def run(self, cells: Sequence[str], *, seed_material: bytes) -> Iterator[Student]:
        """The functions of the notebook `cells`, after its cells have run in order.

        `seed_material` seeds the global generators of the notebook, so that two runs agree. When
        the block ends, every process and file of the submission is gone. Raises `ValueError` before
        the executor is entered.
        """
        if self.zygote is None:
            raise ValueError("Enter the executor first: `with Executor() as executor:`.")
        if not self.zygote.is_alive():  # this machine, or a submission, has killed it
            kind = self.zygote.isolation
            self.zygote.close()
            self.zygote = self._proven(kind)
        submission = self.new_run(self.zygote, cells, seed_material, self.limits)
        try:
            submission.start()
            yield Student(submission.outcomes, submission.names, submission.call)
        finally:
            submission.end()
