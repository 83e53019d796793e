"""A folder for a moment, which no kill leaves behind for longer than to the next run.

Its owner holds a lock on it. The kernel gives the lock back when the owner ends, however that
comes, so a folder that nobody holds is one that was left.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows, where none of this is called
    fcntl = None

_PREFIX = "dlcourse-sandbox-"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder below the system's temporary one; those left by killed graders go."""
    _sweep()
    folder, lock = _held()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _held():
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = _locked(folder, fcntl.LOCK_SH)
        if lock is not None and folder.exists():
            return folder, lock
        if lock is not None:  # another grader swept it away before it was held
            os.close(lock)


def _sweep():
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        lock = _locked(folder, fcntl.LOCK_EX)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(folder, kind):
    """A descriptor that holds the folder, or None if another process does, or it is not ours."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
