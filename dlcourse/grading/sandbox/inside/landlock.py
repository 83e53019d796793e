"""Landlock: a process gives up every file but those it names. For machines without namespaces.

It restricts opening, not asking whether a file exists; who owns files and when they changed is
kept by the filter of system calls. No file is writable. Reference: landlock(7), Linux 6.2 on.
"""

import ctypes
import os
import struct
from collections.abc import Sequence

from dlcourse.grading.sandbox.failures import SandboxUnavailable
from dlcourse.grading.sandbox.inside import kernel

LEAST_VERSION = 3  # the first that knows truncation
_CREATE, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ALL_RIGHTS = {3: 2**15 - 1, 4: 2**15 - 1, 5: 2**16 - 1}  # later versions add no rights to files
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIRECTORY = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_NETWORK, _SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals
_BENEATH = 1


def version() -> int:
    """Version of Landlock that the kernel offers; 0 if none."""
    try:
        return kernel.syscall(_CREATE, None, 0, 1)
    except OSError:
        return 0


def ruleset(readable: Sequence[str], listable: Sequence[str], writable: Sequence[str]) -> int:
    """A descriptor of what `restrict` will leave: reading below some paths, listing, writing.

    Raises `SandboxUnavailable` on a kernel without it.
    """
    found = version()
    if found < LEAST_VERSION:
        raise SandboxUnavailable(
            f"Landlock version {LEAST_VERSION} is needed (Linux 6.2), got version {found}."
        )
    rights = _ALL_RIGHTS[min(found, 5)]
    network = _NETWORK if found >= 4 else 0
    scopes = _SCOPES if found >= 6 else 0
    fields = 3 if found >= 6 else 2 if found >= 4 else 1
    attributes = struct.pack("QQQ", rights, network, scopes)[: 8 * fields]
    rules = kernel.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    for path in readable:
        listing = _READ_DIRECTORY if os.path.isdir(path) else 0
        _allow(rules, path, _EXECUTE | _READ_FILE | listing)
    for path in listable:
        _allow(rules, path, _READ_DIRECTORY)
    for path in writable:
        _allow(rules, path, _READ_FILE | _WRITE_FILE)
    return rules


def restrict(rules: int):
    """Restrict the process, for ever, to what the descriptor `rules` allows."""
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.syscall(_RESTRICT_SELF, rules, 0)


def _allow(rules, path, rights):
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:  # gone since it was listed
        return
    try:
        kernel.syscall(_ADD_RULE, rules, _BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)
