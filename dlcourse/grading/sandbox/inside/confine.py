"""What a fresh fork of the zygote does to itself before it reads one line of a submission.

Each step is a function of its own and cannot be taken back by the process. The order matters:
mounts need rights that the later steps give up, and the filter of system calls comes last.

user                 who the fork becomes
ruleset              descriptor of what Landlock leaves to read
address_space_bytes  what the zygote maps already; the limit of memory comes on top
n_other_threads      threads of the user that the kernel counts along with the fork's
"""

import os
import platform
import signal
from dataclasses import dataclass

from dlcourse.grading.sandbox.inside import kernel, landlock, seccomp
from dlcourse.grading.sandbox.limits import Limits

try:
    import resource
except ImportError:  # on Windows, where none of this is called
    resource = None

NOBODY = 65534
CHANNEL = 3  # the descriptor of the grader's socket, the only one beside /dev/null
WRITABLE = "/tmp"
_OPEN_FILES = 256


@dataclass(frozen=True)
class Confinement:
    """How to confine: `isolation` "bubblewrap", "landlock" or "untrusted marks"."""

    isolation: str
    limits: Limits
    user: int
    ruleset: int | None
    address_space_bytes: int
    n_other_threads: int


def enter(confinement: Confinement, channel: int):
    """Confine the calling process for ever; `channel` is the grader's socket."""
    if confinement.isolation == "landlock":
        landlock.restrict(confinement.ruleset)
    keep_only(channel)
    os.umask(0o077)
    kept = 0
    if confinement.isolation == "bubblewrap":
        fresh_files(confinement.limits.file_bytes)
        become(confinement.user)
        count_own_threads()
    elif confinement.isolation == "landlock":
        become(confinement.user)
        kept = kernel.CAP_DAC_READ_SEARCH
    give_up_rights(kept)
    limit_resources(confinement.limits, confinement.address_space_bytes)
    limit_threads(confinement.limits.n_processes + confinement.n_other_threads)
    filter_system_calls()


def keep_only(channel: int):
    """Close all descriptors but the grader's socket, and connect the standard ones to nothing."""
    os.dup2(channel, CHANNEL, inheritable=False)
    os.closerange(CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.close(nothing)


def fresh_files(file_bytes: int):
    """An empty /tmp of the fork's own, the one writable place; message queues likewise."""
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC)
    kernel.make_mounts_private()
    kernel.mount_tmpfs(WRITABLE, file_bytes)
    os.chdir(WRITABLE)


def become(user: int):
    """A user without rights of its own: for root no limit on threads holds."""
    if os.getuid() == 0 != user:
        kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def count_own_threads():
    """In a user namespace the limit on threads counts those of the fork, and no others."""
    kernel.unshare(kernel.CLONE_NEWUSER)


def give_up_rights(kept: int):
    """No process may look inside, none outlives the zygote, no capability is left but `kept`.

    What belongs to root may be closed to the user that the fork has become. Under Landlock it
    keeps the right to read, which reaches no further than what it is shown.
    """
    kernel.drop_capabilities(platform.machine(), kept)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user would undo it


def limit_resources(limits: Limits, address_space_bytes: int):
    """Limits that the kernel keeps even if the grader is slow to look."""
    ceilings = {
        resource.RLIMIT_AS: address_space_bytes + limits.memory_bytes,
        resource.RLIMIT_CPU: most_cpu_seconds(limits),
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for kind, ceiling in ceilings.items():
        resource.setrlimit(kind, (ceiling, ceiling))


def most_cpu_seconds(limits: Limits) -> int:
    """CPU seconds after which the kernel kills a fork."""
    return int(limits.notebook_cpu_seconds + limits.submission_wall_seconds) + 1


def limit_threads(n_threads: int):
    """At most this many threads of the user; in a user namespace these are the fork's own."""
    resource.setrlimit(resource.RLIMIT_NPROC, (n_threads, n_threads))


def filter_system_calls():
    """Only the system calls of `system_calls.csv` from here on."""
    seccomp.install(seccomp.program(platform.machine(), os.getpid()))
