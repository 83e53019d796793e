"""What a folder or a zip archive holds: its files by their place in it, read within bounds.

An archive is never unpacked: a member is decompressed in memory when it is read, up to the size of
the largest notebook and one byte. So it matters little what an archive says of its members: a name
that leads out of it, a link, a bomb or a password makes one unreadable file.
"""

import errno
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from dlcourse.grading.marking.submission import SIZE_LIMIT_BYTES

MEMBERS = 50_000  # of an export
STUDENT_MEMBERS = 100  # of an archive that a student handed in
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the rest takes memory that its head asks for
# What systems and programs leave behind, wherever it lies.
LEFTOVERS = ("__MACOSX", "Thumbs.db", "desktop.ini", ".DS_Store", ".ipynb_checkpoints")
TOOLS = (".git", ".svn", ".venv", ".idea", ".vscode", ".cache", ".config", ".local", ".Trash")
APPLE_DOUBLE = bytes.fromhex("00051607")  # a ._file: what macOS knows of the file of that name
UNORDINARY = "It is not an ordinary file."
CLOSED = "The folder cannot be looked into ({}), so nothing in it is graded."
OUTSIDE = "Its name leads out of the archive."


@dataclass(frozen=True)
class Entry:
    """One file of a folder or an archive."""

    parts: tuple[str, ...]  # its place: names from the top down
    opened: Callable[[], IO[bytes]]
    changed: datetime | None = None  # None where nothing says so
    fault: str = ""  # why it is not to be read

    @property
    def is_closed(self) -> bool:
        """Whether it stands for a folder that cannot be looked into."""
        return not self.parts[-1]

    @property
    def file(self) -> str:
        return "/".join(self.parts)

    @property
    def suffix(self) -> str:
        return os.path.splitext(self.parts[-1])[1].lower()

    def read(self, most: int = SIZE_LIMIT_BYTES + 1) -> bytes:
        """The bytes, at most one more than a notebook may have; raises `OSError` if it cannot."""
        try:
            with self.opened() as file:
                return file.read(most)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
            raise OSError(errno.EIO, f"the archive cannot be read there ({error})") from error


def entries(place, leave_out=None) -> list[Entry]:
    """The files of a folder or an archive but for what systems leave there, in order of name.

    Nothing below the folder `leave_out` is among them; a folder that cannot be looked into is one
    entry, named with a / at its end. Raises `ValueError` if `place` is neither a
    folder nor an archive, or an archive with more members than any class hands in.
    """
    place = Path(place)
    if place.is_dir():
        found = list(_of_folder(place, Path(leave_out).resolve() if leave_out else None))
    elif place.is_file() and zipfile.is_zipfile(place):
        found = of_archive(place, (), MEMBERS)
    else:
        raise ValueError(
            f"{place} is not a folder, nor a zip archive. Give the folder that holds the "
            "submissions, or the archive that your learning platform made of them."
        )
    return [entry for entry in found if not _is_leftover(entry)]


def unzipped(entry: Entry) -> list[Entry]:
    """The notebooks in an archive that a student handed in, or the archive with what is wrong."""
    try:
        within = of_archive(io.BytesIO(entry.read()), entry.parts, STUDENT_MEMBERS)
    except (OSError, ValueError) as error:
        cure = "Hand in the notebook itself."
        return [replace(entry, fault=f"The archive cannot be read: {_reason(error)}. {cure}")]
    books = [e for e in within if e.suffix == ".ipynb" and not _is_leftover(e)]
    return books or [replace(entry, fault="The archive holds no notebook.")]


def of_archive(source, parts: tuple[str, ...], most: int) -> list[Entry]:
    """The files of a zip archive, a path or an open file, below `parts`.

    Raises `ValueError` if it is damaged, or has more than `most` members.
    """
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"it is damaged ({error})") from error
    members = archive.infolist()
    if len(members) > most:
        raise ValueError(f"it has {len(members):,} members, more than {most:,}")
    found = [_member(archive, info, parts) for info in members if not info.is_dir()]
    return sorted(found, key=lambda entry: entry.parts)


def _member(archive, info, above):
    name = _name(info)
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    fault = ""
    if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
        parts, fault = tuple(part for part in parts if part != ".."), OUTSIDE
    elif stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        fault = UNORDINARY
    elif info.compress_type not in METHODS:
        fault = "It is packed in a way that is not read here. Pack it as an ordinary zip archive."
    elif info.flag_bits & 1:
        fault = "It is locked with a password."
    try:
        changed = datetime(*info.date_time).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        changed = None
    return Entry(above + (parts or ("?",)), lambda: archive.open(info), changed, fault)


def _name(info):
    """A member's name; what is not said to be UTF-8 often is, and Windows may write backslashes."""
    name = info.filename
    if not info.flag_bits & 0x800:
        try:
            name = name.encode("cp437").decode()
        except UnicodeError:
            pass
    return name.replace("\\", "/")


def _of_folder(folder, leave_out) -> Iterator[Entry]:
    closed = []
    for home, folders, files in os.walk(folder, onerror=closed.append):
        home = Path(home)
        folders[:] = sorted(f for f in folders if (home / f).resolve() != leave_out)
        links = [name for name in folders if (home / name).is_symlink()]
        for name in sorted(files + links):
            path = home / name
            yield Entry(
                path.relative_to(folder).parts,
                lambda path=path: path.open("rb"),
                _changed(path),
                "" if _is_ordinary(path) else UNORDINARY,
            )
    for error in closed:
        if (path := Path(error.filename)) == folder:
            raise ValueError(f"{folder} cannot be looked into ({error.strerror}).")
        fault = CLOSED.format(error.strerror)
        yield Entry((*path.relative_to(folder).parts, ""), io.BytesIO, None, fault)


def _is_ordinary(path):
    """Whether it is no folder, link or device, nor one of them for all that can be seen."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:  # reading it will say why
        return True


def _changed(path):
    """When the file was last changed; a time that no calendar has is late."""
    try:
        seconds = path.lstat().st_mtime
    except OSError:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def _is_leftover(entry):
    """Whether no student handed this in: a leading dot alone does not say so of a notebook."""
    *folders, name = entry.parts
    if any(part in LEFTOVERS + TOOLS for part in entry.parts):
        return True
    if any(part.startswith(".") for part in folders[1:]):
        return True
    if name.startswith(".") and entry.suffix != ".ipynb":
        return name != ".ipynb"
    return name.startswith("._") and not entry.fault and _starts(entry) == APPLE_DOUBLE


def _starts(entry):
    try:
        return entry.read()[: len(APPLE_DOUBLE)]
    except OSError:
        return b""


def _reason(error):
    return getattr(error, "strerror", None) or str(error)
