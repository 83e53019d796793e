"""A memory and process limit around a whole sandbox, where this user may make control groups.

A second wall: each process has limits of its own already. Version 1 has one directory tree for
each controller, version 2 a single one; where neither lets us in, `around` gives None.
"""

import contextlib
import os
import secrets
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_PREFIX = "dlcourse-"


class ControlGroup:
    """Directories of one group. `add` moves a process in; what it starts later stays in."""

    def __init__(self, directories: list[Path]):
        self.directories = directories

    def add(self, pid: int):
        for directory in self.directories:
            (directory / "cgroup.procs").write_text(str(pid))

    def processes(self) -> list[int]:
        """Host pids of the processes in the group."""
        text = (self.directories[0] / "cgroup.procs").read_text()
        return [int(line) for line in text.split()]

    def n_memory_kills(self) -> int:
        """Processes killed because this group, not the machine, was out of memory."""
        kills, hits = _numbers(self.directories, "memory.events", "memory.oom_control"), 0
        for directory in self.directories:
            with contextlib.suppress(OSError):
                hits += int((directory / "memory.failcnt").read_text())
        return min(kills.get("oom_kill", 0), kills.get("oom", hits))

    def remove(self):
        """Remove the group; its processes must have ended."""
        for directory in self.directories:
            with contextlib.suppress(OSError):
                directory.rmdir()


def _numbers(directories, *files):
    """Names and numbers that the first of these files that is there holds, a line each."""
    for path in (directory / file for directory in directories for file in files):
        with contextlib.suppress(OSError):
            lines = (line.split() for line in path.read_text().splitlines())
            return {name: int(number) for name, number in lines}
    return {}


def around(memory_bytes: int, n_processes: int, root: Path = ROOT) -> ControlGroup | None:
    """A new, empty group below the caller's own with these limits, or None."""
    name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
    settings = _version_2(root) or _version_1(root)
    _sweep([directory for directory, _ in settings])
    group = ControlGroup([])
    values = {"memory": memory_bytes, "pids": n_processes}
    try:
        for directory, files in settings:
            (directory / name).mkdir()
            group.directories.append(directory / name)
            for controller, file in files.items():
                (directory / name / file).write_text(str(values[controller]))
    except OSError:
        group.remove()
        return None
    return group if group.directories else None


def _sweep(directories):
    """Remove the groups of graders that were killed; one with processes cannot be removed."""
    for directory in directories:
        for group in directory.glob(f"{_PREFIX}*-*"):
            owner = group.name.removeprefix(_PREFIX).partition("-")[0]
            if not Path("/proc", owner).exists():
                ControlGroup([group]).remove()


def _own_paths():
    """Path of the caller's group by controller; version 2 has the controller ''."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    rows = [line.split(":", 2) for line in lines]
    return {name: path.lstrip("/") for _, names, path in rows for name in names.split(",")}


def _version_2(root):
    """A sibling of the caller's group: a group that holds processes may have no children."""
    own = root / _own_paths().get("", "")
    parent = own.parent if own != root else root
    try:
        controllers = (parent / "cgroup.subtree_control").read_text().split()
    except OSError:
        return []
    if not {"memory", "pids"} <= set(controllers):
        return []
    return [(parent, {"memory": "memory.max", "pids": "pids.max"})]


def _version_1(root):
    own = _own_paths()
    files = {"memory": "memory.limit_in_bytes", "pids": "pids.max"}
    found = {name: root / name / own[name] for name in files if name in own}
    return [(path, {name: files[name]}) for name, path in found.items() if path.is_dir()]
