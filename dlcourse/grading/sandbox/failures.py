"""What can go wrong with a submission, or with the sandbox around it.

A failure of the student's code is data for the test that met it; a failure of the sandbox stops
the run, because marks given without it could be forged.
"""


class StudentFailure(Exception):
    """Base of all that a call of a student's function can raise."""


class MissingFunction(StudentFailure, AttributeError):
    """The notebook defines no function of this name."""


class StudentError(StudentFailure):
    """The student's function raised. `type` and `text` are the name and message it gave.

    A message can repeat the inputs of a hidden test: it is for the instructor's eyes only.
    """

    def __init__(self, type: str, text: str):
        super().__init__(f"{type}: {text}")
        self.type, self.text = type, text


class CallTimeout(StudentFailure):
    """The call used up its time."""


class BadValue(StudentFailure):
    """The function returned something that is not plain data, or too much of it."""


class StudentGone(StudentFailure):
    """The notebook's process ended, or sent what nobody asked for; there is nothing to call."""


class ProtocolError(Exception):
    """Bytes on the wire that are no frame."""


class KilledFromOutside(BaseException):
    """The machine, not the submission, has killed its process: nothing can be said about it.

    No `Exception`, so that no test takes it for an answer.
    """


class SandboxUnavailable(RuntimeError):
    """This machine cannot hold untrusted code. The message says what to install."""


class SandboxEnded(SandboxUnavailable):
    """The warm process is gone, or does not answer."""
