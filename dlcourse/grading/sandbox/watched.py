"""A submission that a student rehearses: the run of the grader, which tells where it stands too.

The line at which a limit stopped it is written after the message, as it is for an exception:
"(cell 3, line 2)".
"""

import signal
import time
from collections.abc import Callable

from dlcourse.grading.sandbox.failures import CallTimeout
from dlcourse.grading.sandbox.proxy import CellError
from dlcourse.grading.sandbox.submission_run import SubmissionRun

ASK_SECONDS = 1.0


class WatchedRun(SubmissionRun):
    """Asks the notebook once a second which line it is at; `watch(position)` is told.

    A position is (cell that runs, cell of the line, line), counted from 1; the first is None in a
    call of a test, the others are None at the beginning.
    """

    tells = "when asked"
    watch: Callable = staticmethod(lambda position: None)
    _cell, _at = None, (None, None)

    def _order(self):
        return super()._order() | {"tells": self.tells}

    def _receive(self, allowance):
        self._stands(None, None)
        asking = _Asking(allowance, self._ask)
        while "at" in (message := self.channel.receive(asking)):
            self._stands(*message["at"])
        return message

    def _ask(self):
        signal.pidfd_send_signal(self.fork.handle, signal.SIGURG)

    def _stands(self, cell, line):
        self._at = cell, line
        self.watch((self._running(), cell, line))

    def _running(self):
        """Number of the cell that runs: the first that has no outcome yet."""
        if not self._runs_cells:
            return None
        waiting = (n for n, o in enumerate(self._outcomes) if o is None and n not in self._skipped)
        return next(waiting, len(self.cells) - 1) + 1

    _runs_cells = False

    def _run_cells(self):
        self._runs_cells = True
        try:
            super()._run_cells()
        finally:
            self._runs_cells = False

    def _lose(self, index, error):
        super()._lose(index, CellError(error.type, self._with_line(error.text)))

    def call(self, name, args, kwargs, wants_args):
        """As of every run; a `CallTimeout` is raised with the line that ran when time was over."""
        try:
            return super().call(name, args, kwargs, wants_args)
        except CallTimeout as error:
            raise CallTimeout(self._with_line(str(error))) from None

    def _with_line(self, text):
        cell, line = self._at
        return f"{text} (cell {cell}, line {line})" if cell else text


class _Asking:
    """The patience of an allowance, that asks now and then while it waits."""

    def __init__(self, allowance, ask):
        self.allowance, self.ask, self.next = allowance, ask, time.monotonic() + ASK_SECONDS

    def __call__(self):
        left = self.allowance()
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + ASK_SECONDS
            self.ask()
        return min(left, ASK_SECONDS)
