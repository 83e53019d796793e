"""Whose a file is: the names that learning platforms give to what they export.

Canvas       lastfirst_LATE_<student>_<file>_name.ipynb, all in one folder
Moodle       Full name_<participant>_assignsubmission_file_/name.ipynb, or the same as one name
Brightspace  <student>-<folder> - First Last - Oct 1, 2026 1159 PM/name.ipynb, and index.html
Blackboard   <assignment>_<user>_attempt_2026-10-01-23-59-59_name.ipynb, and a receipt, .txt
Gradescope   submission_<number>/name.ipynb, and submission_metadata.yml with the names

The names are the platform's as long as the top of the folder is: what a student chooses stands
behind it or below it. Sources: Canvas, lib/content_zipper.rb; Moodle, mod/assign/classes/
downloader.php; the exports themselves.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from dlcourse.grading.marking.entries import Entry
from dlcourse.grading.marking.naming import Origin, by_pattern, plain

CANVAS, MOODLE, GRADESCOPE = "Canvas", "Moodle", "Gradescope"
BRIGHTSPACE, BLACKBOARD = "Brightspace", "Blackboard"
NAMES = {
    CANVAS: r"(?P<late>LATE_)?(?P<student>anon_[^_]+)_(?P<order>\d+)_.+"
    r"|(?P<name>.+?)(?P<is_late>_LATE)?_(?P<number>\d+)_(?P<place>\d+)_.+"
    r"|(?P<writer>.+?)(?:_LATE)?_(?P<id>\d+)_(?:text|link)\.html",
    MOODLE: r"(?P<student>[^_]+)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?",
    BRIGHTSPACE: r"(?P<number>\d+)-\d+ - (?P<student>.+?) - "
    r"(?P<sent>[^-]*\d{4},? \d{3,4}(?: [AP]M)?)(?: - .+)?",
    BLACKBOARD: r"(?P<head>.+?)_attempt_(?P<sent>\d{4}(?:-\d{2}){5})(?:_.*|(?P<receipt>\.txt))",
}
METADATA, METADATA_BYTES = "submission_metadata.yml", 200_000_000  # results are in it too
RECEIPT = re.compile(rb"\s*Name:[^\n]*\(([^()\n]+)\)\s*\n")
# A lone folder that is called so holds hand-ins of a class, and is no student's.
WRAPPING = re.compile(
    r"submission|assignment|homework|hand.?ins?\b|export|gradebook|^hw\W*\d", re.I
)


def origins(found: list[Entry], name_pattern: str = "") -> list[tuple[Entry, Origin]]:
    """Each file with whose it is, once for each student of a group.

    With `name_pattern` its `student` decides: a regular expression with a group of that name, or a
    text with {student} and * in it, for a whole path or the name at its end. Raises `ValueError`
    for a pattern without one.
    """
    if name_pattern:
        read = by_pattern(name_pattern)
        return [(entry, read(entry)) for entry in found]
    platform, read = _platform(found)
    pairs = [(e, o) for e in found for o in (read(e) or [plain(e)])]
    if platform == BRIGHTSPACE:
        pairs = [(e, o) for e, o in pairs if e.parts != ("index.html",)]
    if platform == GRADESCOPE:
        pairs = [(e, o) for e, o in pairs if e.parts != (METADATA,)]
    return pairs


def unwrapped(found: list[Entry], is_student: Callable[[str], bool], stem: str = "") -> list[Entry]:
    """The files without the folders that wrap all of them and are no student's.

    `is_student` says who is on the roster, `stem` how the archive is called that they come from.
    """
    stray = [e for e in found if len(e.parts) == 1 and e.suffix not in (".ipynb", ".zip")]
    if stray and len(stray) < len(found):  # a list, say, that lies beside the folder
        rest = [entry for entry in found if entry not in stray]
        inner = unwrapped(rest, is_student, stem)
        return found if inner is rest else [*inner, *stray]
    below = _below(found)
    if not below:
        return found
    top, deeper = found[0].parts[0], below
    while deeper and not _platform(deeper)[0]:
        deeper = _below(deeper)
    if deeper:
        return deeper
    students = {plain(entry).student for entry in below}
    is_wrapping = (
        top == stem
        or WRAPPING.search(top)
        or (len(students) > 1 and all(len(entry.parts) > 1 for entry in below))
        or any(map(is_student, students))
    )
    return unwrapped(below, is_student, stem) if is_wrapping and not is_student(top) else found


def _below(found):
    """The files below the one folder that holds all of them, or none if there is none."""
    is_lone = len({entry.parts[0] for entry in found}) == 1
    if not is_lone or any(len(entry.parts) == 1 for entry in found):
        return []
    return [replace(entry, parts=entry.parts[1:]) for entry in found]


def _platform(found):
    """(name, function from an entry to its origins): of the platform whose names most tops have."""
    tops = {entry.parts[0] for entry in found}
    if any(entry.parts == (METADATA,) and not entry.fault for entry in found):
        # A student could have handed in a file of that name, but not among such folders alone.
        hand_ins = {e.parts[0] for e in found if len(e.parts) > 1 or e.suffix in (".ipynb", ".zip")}
        if hand_ins and all(re.fullmatch(r"submission_\d+", top) for top in hand_ins):
            return GRADESCOPE, _gradescope(found)
    for platform, pattern in NAMES.items():
        matches = {top: m for top in tops if (m := re.fullmatch(pattern, top, re.S))}
        if 2 * len(matches) <= len(tops - {"index.html"}):
            continue
        readers = {BRIGHTSPACE: _brightspace, BLACKBOARD: _blackboard}
        read = readers.get(platform, _numbered)(platform, matches, found)
        if read:
            return platform, read
    return "", lambda entry: None


def _numbered(platform, matches, _):
    """Canvas and Moodle: a number for each student, and one name for each number."""
    by_top, names = {}, defaultdict(set)
    for top, match in matches.items():
        got = {key: value for key, value in match.groupdict().items() if value is not None}
        student = got.get("student") or got.get("name") or got.get("writer")
        number = got.get("number") or got.get("id") or ""
        order = int(got.get("order") or got.get("place") or 0)
        late = ("late" in got or "is_late" in got) if platform == CANVAS else None
        by_top[top] = Origin(student, platform, number, None, order, late)
        names[number].add(student)
    if any(len(students) > 1 for number, students in names.items() if number):
        return None  # numbers of something else
    return _told_apart(by_top)


def _brightspace(platform, matches, _):
    names = defaultdict(set)
    for match in matches.values():
        names[match["number"]].add(match["student"])
    is_of_students = all(len(students) == 1 for students in names.values())
    return _told_apart(
        {
            top: Origin(m["student"], platform, m["number"] * is_of_students, _date(m["sent"]))
            for top, m in matches.items()
        }
    )


def _blackboard(platform, matches, found):
    """Names may hold what separates them, `_`: the receipts say where the user's begins."""
    users = {}
    for entry in found:
        match = matches.get(entry.parts[0])
        if match and match["receipt"] and len(entry.parts) == 1 and not entry.fault:
            receipt = RECEIPT.match(entry.read()[:10_000])
            user = receipt[1].decode(errors="replace").strip() if receipt else ""
            if user and match["head"].endswith(f"_{user}"):
                users[match["head"]] = user
    by_top = {}
    for top, match in matches.items():
        user = users.get(match["head"]) or match["head"].rpartition("_")[2]
        sent = datetime.strptime(match["sent"], "%Y-%m-%d-%H-%M-%S") if _is_date(match) else None
        by_top[top] = Origin(
            user,
            platform,
            sent=sent.astimezone(UTC) if sent else None,
            is_receipt=match["receipt"] is not None,
        )
    return _told_apart(by_top)


def _is_date(match):
    try:
        return bool(datetime.strptime(match["sent"], "%Y-%m-%d-%H-%M-%S"))
    except ValueError:
        return False


def _gradescope(found):
    """From the folder of a submission to those who handed it in; a group's is each member's."""
    text = next(e.read(METADATA_BYTES) for e in found if e.parts == (METADATA,) and not e.fault)
    by_folder = {}
    for folder, record in _yaml(text).items():
        record = record if isinstance(record, dict) else {}
        sent = record.get(":created_at")
        if isinstance(sent, datetime):
            sent = sent.astimezone(UTC) if sent.tzinfo else sent.replace(tzinfo=UTC)
        else:
            sent = None
        submitters = record.get(":submitters")
        people = [p for p in submitters or () if isinstance(p, dict)]
        by_folder[folder] = [
            Origin(
                str(p.get(":name") or p.get(":email") or p.get(":sid") or folder),
                GRADESCOPE,
                str(p.get(":sid") or p.get(":email") or ""),
                sent,
                note="Handed in by a group." if len(people) > 1 else "",
            )
            for p in people
        ]
    return lambda entry: by_folder.get(entry.parts[0])


def _yaml(text):
    """Gradescope writes Ruby's objects: they are read as the plain data that they hold."""
    import yaml  # needed for one platform

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        pass

    def as_data(loader, _, node):
        if isinstance(node, yaml.ScalarNode):
            return loader.construct_scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_mapping(node, deep=True)

    Loader.add_multi_constructor("!", as_data)
    try:
        record = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{METADATA} of the export is damaged: {error}") from error
    return record if isinstance(record, dict) else {}


def _told_apart(by_top):
    """Origins in which students of one name have their number behind it."""
    numbers = defaultdict(set)
    for origin in by_top.values():
        numbers[origin.student].add(origin.number)
    shared = {student for student, own in numbers.items() if len(own) > 1}
    told = {
        top: replace(o, student=f"{o.student} {o.number}") if o.student in shared else o
        for top, o in by_top.items()
    }
    return lambda entry: [told[entry.parts[0]]] if entry.parts[0] in told else None


def _date(text):
    """Brightspace's "Oct 1, 2026 1159 PM" or "1 October, 2026 1159 PM", in this machine's zone."""
    match = re.fullmatch(
        r"(?:(?P<m1>[A-Za-z]+)\.? (?P<d1>\d{1,2})|(?P<d2>\d{1,2}) (?P<m2>[A-Za-z]+)),? "
        r"(?P<year>\d{4}),? (?P<hour>\d{1,2})(?P<minute>\d{2})(?P<half> [AP]M)?",
        text.strip(),
    )
    if not match:
        return None
    month, day = match["m1"] or match["m2"], match["d1"] or match["d2"]
    hour = f"{match['hour']} {match['half'].strip()}" if match["half"] else match["hour"]
    clock = "%I %p" if match["half"] else "%H"
    try:
        written = f"{month[:3]} {day} {match['year']} {match['minute']} {hour}"
        return datetime.strptime(written, f"%b %d %Y %M {clock}").astimezone(UTC)
    except ValueError:
        return None
