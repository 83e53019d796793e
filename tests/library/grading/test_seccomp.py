"""The filter of system calls, read by an interpreter of its own, and the magics of a cell."""

import os
import struct

import pytest

from dlcourse.grading.sandbox.inside import kernel, seccomp
from dlcourse.grading.sandbox.inside.magics import plain_python

ALLOW, KILL, DENY, UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
PRETEND = 0x00050000  # an error of number zero, which is none


def verdict(machine, number, *arguments, architecture=None):
    """What the filter answers, by an interpreter of its instructions."""
    architecture = architecture or seccomp.AUDIT_ARCHITECTURE[machine]
    arguments = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments)
    steps = [*struct.iter_unpack("HBBI", seccomp.program(machine, own_pid=1))]
    place, loaded = 0, 0
    while True:
        code, if_true, if_false, value = steps[place]
        place += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return value
        else:
            holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: loaded & value}[code]
            place += if_true if holds else if_false


DANGEROUS = {  # numbers of Linux on (x86_64, aarch64)
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "sendmsg": (46, 211), "fork": (57, None), "vfork": (58, None), "execve": (59, 221),
    "execveat": (322, 281), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "bpf": (321, 280), "userfaultfd": (323, 282), "perf_event_open": (298, 241),
    "keyctl": (250, 219), "add_key": (248, 217), "memfd_create": (319, 279), "setuid": (105, 146),
    "setgid": (106, 144), "setresuid": (117, 147), "capset": (126, 91), "seccomp": (317, 277),
    "chmod": (90, None), "fchmodat": (268, 53), "chown": (92, None), "fchownat": (260, 54),
    "utimensat": (280, 88), "setxattr": (188, 5), "truncate": (76, 45), "shmget": (29, 194),
    "shmat": (30, 196), "mq_open": (240, 180), "init_module": (175, 105), "kexec_load": (246, 104),
    "reboot": (169, 142), "swapon": (167, 224), "mknodat": (259, 33), "link": (86, None),
    "linkat": (265, 37), "symlinkat": (266, 36), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "personality": (135, 92), "syslog": (103, 116), "setrlimit": (160, 164),
    "mincore": (27, 232), "fadvise64": (221, 223), "preadv2": (327, 286),
    "inotify_init1": (294, 26),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "vmsplice": (278, 75),
}  # fmt: skip
NEWER = {"io_uring_setup": 425, "clone3": 435, "pidfd_open": 434, "pidfd_getfd": 438,
         "openat2": 437, "landlock_restrict_self": 446, "memfd_secret": 447,
         "mount_setattr": 442, "open_tree": 428, "fsopen": 430}  # fmt: skip
NEEDED = {"read": (0, 63), "write": (1, 64), "openat": (257, 56), "mprotect": (10, 226),
          "brk": (12, 214), "futex": (202, 98), "exit_group": (231, 94), "munmap": (11, 215),
          "clock_nanosleep": (230, 115), "getrandom": (318, 278)}  # fmt: skip


@pytest.mark.parametrize(("column", "machine"), [*enumerate(seccomp.AUDIT_ARCHITECTURE)])
def test_the_filter_denies_what_is_dangerous_and_allows_what_python_needs(column, machine):
    assert len(seccomp.program(machine, 1)) // 8 < 4096  # the kernel takes no longer one
    for name, numbers in DANGEROUS.items():
        if numbers[column] is not None:
            assert verdict(machine, numbers[column]) == DENY, name
    for name, number in NEWER.items():
        assert verdict(machine, number) == UNKNOWN, name
    for name, numbers in NEEDED.items():
        assert verdict(machine, numbers[column]) == ALLOW, name


@pytest.mark.parametrize(("column", "machine"), [*enumerate(seccomp.AUDIT_ARCHITECTURE)])
def test_some_calls_are_allowed_for_some_arguments(column, machine):
    clone, mmap, kill, tgkill = [(56, 220), (9, 222), (62, 129), (234, 131)]
    prctl, fcntl, ioctl, prlimit = [(157, 167), (72, 25), (16, 29), (302, 261)]
    thread = 0x3D0F00  # what glibc gives for a thread
    flock, madvise = (73, 32), (28, 233)
    private, shared, anonymous = 0x02, 0x01, 0x20
    expected = [
        (clone, [thread], ALLOW),
        (clone, [17], DENY),  # a process, as fork makes it
        *[(clone, [thread | flag], DENY) for flag in (0x10000000, 0x20000000, 0x20000, 0x80)],
        (mmap, [0, 4096, 3, private | anonymous], ALLOW),
        (mmap, [0, 4096, 3, private], ALLOW),
        (mmap, [0, 4096, 1, shared], ALLOW),
        (mmap, [0, 4096, 3, shared | anonymous], DENY),
        (mmap, [0, 4096, 3, 0x03 | anonymous], DENY),
        (kill, [1, 6], ALLOW),
        (kill, [1, 9], DENY),  # that signal says that the machine has killed a process
        (kill, [2, 9], DENY),
        (kill, [2**32 - 1, 9], DENY),  # everything there is
        (kill, [0, 9], DENY),  # the group
        (tgkill, [1, 1, 6], ALLOW),
        (tgkill, [1, 1, 9], DENY),
        (tgkill, [2, 2, 6], DENY),
        (prctl, [15], ALLOW),
        *[(prctl, [option], DENY) for option in (1, 4, 22, 24, 38, 0x59616D61)],
        (fcntl, [3, 3], ALLOW),
        *[(fcntl, [3, lock], PRETEND) for lock in (6, 7)],  # set it, wait for it
        (flock, [3, 2], PRETEND),
        (madvise, [0, 4096, 4], ALLOW),
        *[(madvise, [0, 4096, advice], DENY) for advice in (9, 20, 21)],  # out of memory
        *[(fcntl, [3, command], DENY) for command in (8, 10, 15, 1031)],  # owner, signal, pipe
        (ioctl, [0, 0x5401], ALLOW),
        (ioctl, [0, 0x5412], DENY),  # typing into a terminal
        (prlimit, [0, 7], ALLOW),
        (prlimit, [1, 7], ALLOW),
        (prlimit, [5, 7], DENY),
        (prlimit, [0, 0], DENY),  # seconds of computing, which the kernel ends by that signal too
    ]
    for numbers, arguments, answer in expected:
        assert verdict(machine, numbers[column], *arguments) == answer, (numbers, arguments)


def test_another_architecture_is_killed_and_x32_is_unknown():
    assert verdict("x86_64", 0, architecture=0x40000003) == KILL  # i386 on the same kernel
    assert verdict("x86_64", 0x40000000) == UNKNOWN
    with pytest.raises(OSError, match="No filter for a riscv64 machine"):
        seccomp.numbers("riscv64")


def test_the_numbers_of_the_table_are_those_of_this_machine():
    numbers = seccomp.numbers(os.uname().machine)
    for name in ("getpid", "getppid", "getuid", "getgid", "geteuid"):
        assert kernel.syscall(numbers[name]) == getattr(os, name)(), name


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("x = 1", "x = 1"),
        ("%pip install numpy\nx = 1", "pass\nx = 1"),
        ("if True:\n    !ls\n    x = 1", "if True:\n    pass\n    x = 1"),
        ("files = !ls\ny = 2", "pass\ny = 2"),
        ("np.sum?\nz = 3", "pass\nz = 3"),
        ("%%time\nx = 1", "x = 1"),
        ("%%bash\nrm -rf /", ""),
        ("text = '''\n%not magic\n'''", "text = '''\n%not magic\n'''"),
        ("y = (x\n     % 3)", "y = (x\n     % 3)"),
        ("%matplotlib inline\ny = (17\n     % 5)", "pass\ny = (17\n     % 5)"),
        ("%pip install x\ny = 17 \\\n  % 5", "pass\ny = 17 \\\n  % 5"),
        ("!ls 'it\ny = {\n  'a': 7\n  % 5}", "pass\ny = {\n  'a': 7\n  % 5}"),
        ('%pip x\ns = """\n% of (\n!x\n"""', 'pass\ns = """\n% of (\n!x\n"""'),
        ("!pip install \\\n  numpy\nx = 1", "pass\n\nx = 1"),
        ("%time x = (3\n  % 2)", "x = (3\n  % 2)"),
        ("y = %time max(1, 2)", "y = max(1, 2)"),
        ("%timeit x = 3\nz = 1", "pass\nz = 1"),
        ("?np.sum\nnp??", "pass\npass"),
        ("x = 'a (' != \"it's\"\n%pip x", "x = 'a (' != \"it's\"\npass"),
        ("x = r'\\d[' + f'{1!r}'\n%pip x", "x = r'\\d[' + f'{1!r}'\npass"),
    ],
)
def test_what_only_ipython_understands_does_nothing(cell, python):
    lines = [line.split("#")[0].rstrip() for line in plain_python(cell).split("\n")]
    assert "\n".join(lines) == python
    compile(plain_python(cell), "cell", "exec")
