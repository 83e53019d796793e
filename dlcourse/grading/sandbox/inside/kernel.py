"""System calls that Python has no name for. Linux only."""

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_NOSUID, MS_NODEV, MS_PRIVATE, MS_REC = 0x2, 0x4, 0x40000, 0x4000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 4, 8
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
CAP_DAC_READ_SEARCH = 1 << 2
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522

# Elsewhere than on Linux nothing here is called, but what a rehearsal needs imports it.
_libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


def _checked(result, what):
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int):
    """Leave the namespaces `flags` of the caller for new ones."""
    _checked(_libc.unshare(flags), "unshare")


def enter_namespace(descriptor: int, flag: int):
    """Enter the namespace of kind `flag` of the process that the pidfd `descriptor` names."""
    _checked(_libc.setns(descriptor, flag), "setns")


def mount_tmpfs(path: str, size_bytes: int):
    """An empty file system in memory of at most `size_bytes` at `path`."""
    options = f"size={size_bytes},nr_inodes=4096,mode=1777".encode()
    flags = MS_NOSUID | MS_NODEV
    result = _libc.mount(b"tmpfs", path.encode(), b"tmpfs", ctypes.c_ulong(flags), options)
    _checked(result, f"mount {path}")


def make_mounts_private():
    """Keep the mounts that follow from reaching any other mount namespace."""
    flags = ctypes.c_ulong(MS_REC | MS_PRIVATE)
    _checked(_libc.mount(None, b"/", None, flags, None), "mount --make-rprivate /")


def prctl(option: int, *arguments):
    """Set an attribute of the process."""
    padded = [*arguments, 0, 0, 0, 0][:4]
    values = [v if isinstance(v, ctypes.c_void_p) else ctypes.c_ulong(v) for v in padded]
    _checked(_libc.prctl(option, *values), f"prctl {option}")


def drop_capabilities(machine: str, keep: int = 0):
    """Give up every capability of the process but the set `keep`, also those it could take back.

    What of `keep` the process does not have is not kept.
    """
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    for kept in (keep, 0):
        wanted = (ctypes.c_uint32 * 6)(kept, kept)
        if _libc.syscall(_CAPSET[machine], header, wanted) == 0:
            return
    _checked(-1, "capset")


def syscall(number: int, *arguments) -> int:
    """Any system call by number, with the error it gives raised as OSError."""
    return _checked(_libc.syscall(number, *arguments), f"system call {number}")
