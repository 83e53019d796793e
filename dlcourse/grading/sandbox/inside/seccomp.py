"""A filter of system calls: what Python and its numerical packages need, and nothing else.

The list `system_calls.csv` holds the numbers per machine (from the headers of Linux 6.1). What it
does not name fails with EPERM; calls newer than the list fail with ENOSYS, for which the C
library has older ways. No call on the list opens a socket, starts a process or a program, mounts,
traces, changes who owns a file, asks which pages of a file are in memory, or makes memory that
outlives the process.
Reference: seccomp(2) and Documentation/userspace-api/seccomp_filter.rst of the Linux kernel.
"""

import csv
import ctypes
import errno
import functools
import signal
import struct
from pathlib import Path

from dlcourse.grading.sandbox.inside import kernel

try:
    import resource
except ImportError:  # on Windows, where none of this is called
    resource = None

AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FIRST_NEW_CALL = 424  # from here on, numbers are the same on all machines

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_PRETEND = _ERROR | 0  # no error: the call returns at once, and nothing has happened
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_CLONE_THREAD, _NEW_NAMESPACES = 0x00010000, 0x7E020080
_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20
_TERMINAL_QUESTIONS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, FIONREAD, ...
_OWN_NAME = (15, 16, 0x53564D41)  # prctl: set and get the thread's name, name memory
_FILE_FLAGS = (0, 1, 2, 3, 4, 5, 1030)  # fcntl: copies and flags, but no signals
_FILE_LOCKS = (6, 7)  # fcntl: F_SETLK, F_SETLKW
_MEMORY_ADVICE = (0, 1, 2, 3, 4, 8, 14, 15, 16, 17)  # madvise: what allocators say


def _step(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


def _give(action):
    return _step(_RETURN, action)


def _argument(index):
    return _step(_LOAD, _ARGUMENTS + 8 * index)  # the low half: little-endian machines


def _one_of(index, values, pretended=()):
    """Allow if an argument is one of `values`, say yes to the `pretended` ones, deny the others."""
    steps = [_argument(index)]
    for value in pretended:
        steps += [_step(_EQUAL, value, 0, 1), _give(_PRETEND)]
    for value in values:
        steps += [_step(_EQUAL, value, 0, 1), _give(_ALLOW)]
    return [*steps, _give(_ERROR | errno.EPERM)]


def _conditions(own_pid):
    """Steps for each call that is allowed for some arguments only."""
    denied = _give(_ERROR | errno.EPERM)
    threads_only = [
        _argument(0),
        _step(_ANY_BIT, _NEW_NAMESPACES, 2, 0),
        _step(_ANY_BIT, _CLONE_THREAD, 0, 1),
        _give(_ALLOW),
        denied,
    ]
    # Shared memory without a file outlives its limit: each process that maps it counts it anew.
    private_memory = [
        _argument(3),
        _step(_ANY_BIT, _MAP_ANONYMOUS, 0, 2),
        _step(_ANY_BIT, _MAP_SHARED, 0, 1),
        denied,
        _give(_ALLOW),
    ]
    # All limits but that of CPU seconds, which the kernel enforces by that same signal.
    own_limits = [
        _argument(1),
        _step(_EQUAL, resource.RLIMIT_CPU, 4, 0),
        _argument(0),
        _step(_EQUAL, 0, 1, 0),
        _step(_EQUAL, own_pid, 0, 1),
        _give(_ALLOW),
        denied,
    ]

    def to_itself(signal_index):
        """Any signal but the one that cannot be caught: that one means that the machine kills."""
        return [
            _argument(0),
            _step(_EQUAL, own_pid, 0, 3),
            _argument(signal_index),
            _step(_EQUAL, signal.SIGKILL, 1, 0),
            _give(_ALLOW),
            denied,
        ]

    return {
        "clone": threads_only,
        "mmap": private_memory,
        "ioctl": _one_of(1, _TERMINAL_QUESTIONS),
        "prctl": _one_of(0, _OWN_NAME),
        # A lock on a file that all submissions see is a sign to another, and memory of the kernel
        # that no limit counts. Within one process it locks nobody out, so none is taken.
        "fcntl": _one_of(1, _FILE_FLAGS, pretended=_FILE_LOCKS),
        "flock": [_give(_PRETEND)],
        "madvise": _one_of(2, _MEMORY_ADVICE),
        "prlimit64": own_limits,
        "kill": to_itself(1),
        "tgkill": to_itself(2),
    }


@functools.cache  # read by the zygote, for a fork may have nothing to read it from
def numbers(machine: str) -> dict[str, int]:
    """Number on `machine` of each system call that may be made there; raises OSError if unknown."""
    if machine not in AUDIT_ARCHITECTURE:
        raise OSError(
            errno.ENOSYS, f"No filter for a {machine} machine, only {[*AUDIT_ARCHITECTURE]}"
        )
    table = Path(__file__).with_name("system_calls.csv").read_text()
    rows = csv.DictReader(table.splitlines())
    return {row["name"]: int(row[machine]) for row in rows if row[machine]}


def program(machine: str, own_pid: int) -> bytes:
    """The filter for a process `own_pid` on `machine`, as instructions of 8 bytes."""
    steps = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, AUDIT_ARCHITECTURE[machine], 1, 0),
        _give(_KILL),  # another architecture would number its calls differently
        _step(_LOAD, _NUMBER),
    ]
    conditions = _conditions(own_pid)
    for name, number in numbers(machine).items():
        branch = conditions.get(name, [_give(_ALLOW)])
        steps += [_step(_EQUAL, number, 0, len(branch)), *branch]
    steps += [_step(_AT_LEAST, FIRST_NEW_CALL, 0, 1), _give(_ERROR | errno.ENOSYS)]
    return b"".join([*steps, _give(_ERROR | errno.EPERM)])


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def install(instructions: bytes):
    """Put the process and all that it starts under the filter, for ever."""
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    filter_ = _Program(len(instructions) // 8, instructions)
    kernel.prctl(kernel.PR_SET_SECCOMP, 2, ctypes.c_void_p(ctypes.addressof(filter_)))
