"""What a run writes: tables of marks, results.json, a page for each student and for the class.

Pages hold no script and load nothing. All text of students is escaped, and shown without control
characters, which could make code read otherwise than it runs.
"""

import functools
import hashlib
import json
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from dlcourse.grading.homework import Homework
from dlcourse.grading.marking import exports, gradebooks, similarity, summary
from dlcourse.grading.marking.collection import COUNTS
from dlcourse.grading.marking.exports import Row
from dlcourse.grading.marking.gradebooks import Gradebooks
from dlcourse.grading.marking.results import NOT_GRADED
from dlcourse.grading.marking.similarity import Pair, Similarity
from dlcourse.grading.marking.store import Store
from dlcourse.grading.partial import beside

N_BARS = 10
SHOWN_CHARACTERS = 20_000  # of one cell's code or output


def write(
    homework: Homework,
    rows: list[Row],
    folder,
    store: Store | None = None,
    books: Gradebooks | None = None,
    unwritten: list[str] | None = None,
) -> Path:
    """Write everything below `folder`; returns the class report.

    What a student's cells showed is taken from `store`, one student at a time; `books` are the
    gradebooks, filled in without a roster if they are not given. A file that cannot
    be written gets a line in `unwritten`, and the others are written; without it, `OSError`.
    """

    def put(path, text):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _put(path, text)
        except OSError as error:
            if unwritten is None:
                raise
            unwritten.append(f"{path} cannot be written ({error.strerror}).")

    folder, alike = Path(folder), look_alikes(homework, rows)
    books = books or gradebooks.filled(homework, rows, None)
    put(folder / "grades.csv", exports.grades_csv(homework, rows, alike))
    put(folder / "canvas.csv", books.canvas)
    put(folder / "moodle.csv", books.moodle)
    put(folder / "results.json", exports.results_json(homework, rows))
    for row in rows:
        if row.result:
            home = folder / "students" / page_name(row.hand_in.student)
            put(home / "results.json", json.dumps(exports.gradescope(row)))
            full = store and store.full(row.result)
            page = student_page(homework, replace(row, result=full) if full else row)
            put(home / "report.html", page)
    put(folder / "class.html", class_page(homework, rows, alike, books.notes))
    return folder / "class.html"


def student_page(homework: Homework, row: Row) -> str:
    """One student's report: code, visible output, points and hints. Nothing hidden is in it."""
    return _template("student.html").render(
        homework=homework,
        row=row,
        result=row.result,
        hints=exports.hints_once(row.result),
    )


def class_page(
    homework: Homework, rows: list[Row], alike: Similarity, notes: tuple[str, ...] = ()
) -> str:
    """The report on the class: distribution, questions, mistakes, look-alikes, odd hand-ins."""
    graded = [row for row in rows if row.is_graded]
    points = [row.earned for row in graded]
    by_reason = defaultdict(list)
    for student, reason in alike.not_compared.items():
        by_reason[reason].append(student)
    return _template("class.html").render(
        homework=homework,
        rows=rows,
        n_files=sum(row.hand_in.entry is not None for row in rows),
        graded=graded,
        ungraded=[row.hand_in.student for row in rows if row.status == NOT_GRADED],
        notes=notes,
        mean=statistics.fmean(points) if points else 0,
        median=statistics.median(points) if points else 0,
        bars=bars(points, homework.points),
        questions=question_shares(homework, graded),
        mistakes=common_mistakes(graded),
        alike=alike,
        not_compared=sorted(by_reason.items()),
        caveat=similarity.CAVEAT,
        sandboxes=summary.sandboxes(rows),
        pages={row.hand_in.student: page_name(row.hand_in.student) for row in rows},
    )


def page_name(student: str) -> str:
    """A folder name for a student: plain, and another one for each name."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", student).strip("-")[:40] or "student"
    if plain == student and not re.search("-[0-9a-f]{8}$", plain):
        return plain
    return f"{plain}-{hashlib.sha256(student.encode()).hexdigest()[:8]}"


def bars(points: list[float], out_of: float) -> list[tuple[str, int]]:
    """Number of students in tenths of the points, full marks in the last; labels and counts."""
    counts = Counter(min(int(N_BARS * p / out_of), N_BARS - 1) for p in points)
    edges = [f"{out_of * i / N_BARS:.3g}" for i in range(N_BARS + 1)]
    return [(f"{edges[i]} to {edges[i + 1]}", counts[i]) for i in range(N_BARS)]


def question_shares(homework: Homework, graded: list[Row]) -> list[tuple]:
    """(question, mean share of its points, share with full marks), the hardest first."""
    shares = []
    for place, question in enumerate(homework.questions):
        earned = [row.result.questions[place].earned / question.points for row in graded]
        if earned:
            full = sum(share == 1 for share in earned) / len(earned)
            shares.append((question, sum(earned) / len(earned), full))
    return sorted(shares, key=lambda entry: entry[1])


def common_mistakes(graded: list[Row]) -> list[tuple]:
    """(question id, mistake, number of students, its hint), the most frequent first."""
    counts, hints = Counter(), {}
    for row in graded:
        made = {
            (question.id, test.mistake): test.hint
            for question in row.result.questions
            for test in question.tests
            if test.mistake
        }
        counts.update(made.keys())
        hints |= made
    return [(*key, count, hints[key]) for key, count in counts.most_common()]


def look_alikes(homework: Homework, rows: list[Row]) -> Similarity:
    """Pairs of students who handed in the same file, or code that is nearly the same.

    Whoever is not compared is listed with the reason: too little code, or a file that did not run.
    """
    pairs, first, left_out = [], {}, {}
    for row in rows:
        if not row.is_graded:
            if row.hand_in.status == COUNTS:
                left_out[row.hand_in.student] = f"nothing that ran ({row.status})"
            continue
        other = first.setdefault(row.result.submission, row)
        if other is row or other.hand_in.file == row.hand_in.file:  # a group hands in one file
            continue
        students = other.hand_in.student, row.hand_in.student
        if row.earned:
            pairs.append(Pair(*students, share=1.0, how="same file"))
        else:  # an untouched notebook is everybody's
            left_out[students[1]] = f"the same file as {students[0]}, without a point"
    sources = {
        row.hand_in.student: tuple(cell.source for cell in row.result.cells)
        for row in first.values()
    }
    found = similarity.similarity(sources, _common(homework))
    pairs = (*pairs, *found.pairs)
    paired = {student for pair in pairs for student in (pair.first, pair.second)}
    reasons = found.not_compared | left_out
    return Similarity(pairs, {name: reasons[name] for name in sorted(reasons.keys() - paired)})


def _common(homework):
    """Code that every student was given, or was meant to arrive at."""
    given = [piece.text for piece in homework.pieces if piece.kind in ("code", "setup")]
    checks = [f'check("{question.id}")' for question in homework.questions]
    starters = [question.starter for question in homework.questions]
    return [*given, *checks, *starters, *(question.solution for question in homework.questions)]


def prose(text: str) -> Markup:
    """Escaped text in which `backticks` make code.

    >>> prose("`a < b` holds")
    Markup('<code>a &lt; b</code> holds')
    """
    parts = readable(text).split("`")
    if len(parts) % 2 == 0:  # one backtick more than a pair
        parts[-2:] = ["`".join(parts[-2:])]
    marked = (
        Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(parts)
    )
    return Markup("").join(marked)


def readable(text: str) -> str:
    """Text without what a page cannot show or what could reorder it, and not without end.

    >>> readable("a\\u202eb\\x00")
    'a�b�'
    """
    kept, is_cut = text[:SHOWN_CHARACTERS], len(text) > SHOWN_CHARACTERS
    if not kept.replace("\n", "").replace("\t", "").isprintable():
        kept = "".join(c if c in "\n\t" or _is_plain(c) else "�" for c in kept)
    return kept + "\n... cut here" * is_cut


def _is_plain(character):
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co")


@functools.cache
def _template(name):
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["readable"] = readable
    environment.filters["prose"] = prose
    environment.filters["points"] = exports.number
    environment.filters["percent"] = "{:.0%}".format
    return environment.get_template(name)


def _put(path, text):
    """Write a file whole or not at all."""
    partial = beside(path)
    try:
        partial.write_text(text, encoding="utf-8", errors="replace")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
