"""What a run writes: grades.csv, results.json, a page for each student and one for the class.

Pages hold no script and load nothing. All text of students is escaped, and shown without control
characters, which could make code read otherwise than it runs.
"""

import functools
import hashlib
import json
import os
import re
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import jinja2

from dlcourse.grading.homework import Homework
from dlcourse.grading.marking import exports, similarity, summary
from dlcourse.grading.marking.exports import Row
from dlcourse.grading.marking.store import Store

N_BARS = 10
SHOWN_CHARACTERS = 20_000  # of one cell's code or output
COMPARED = 100_000  # characters of a submission's code that are compared with others


def write(
    homework: Homework,
    rows: list[Row],
    folder,
    store: Store | None = None,
    unwritten: list[str] | None = None,
) -> Path:
    """Write everything below `folder`; returns the class report.

    What a student's cells showed is taken from `store`, one student at a time. A file that cannot
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

    folder = Path(folder)
    put(folder / "grades.csv", exports.grades_csv(homework, rows))
    put(folder / "results.json", exports.results_json(homework, rows))
    for row in rows:
        if row.result:
            home = folder / "students" / page_name(row.hand_in.student)
            put(home / "results.json", json.dumps(exports.gradescope(row)))
            full = store and store.full(row.result)
            page = student_page(homework, replace(row, result=full) if full else row)
            put(home / "report.html", page)
    put(folder / "class.html", class_page(homework, rows))
    return folder / "class.html"


def student_page(homework: Homework, row: Row) -> str:
    """One student's report: code, visible output, points and hints. Nothing hidden is in it."""
    return _template("student.html").render(homework=homework, row=row, result=row.result)


def class_page(homework: Homework, rows: list[Row]) -> str:
    """The report on the class: distribution, questions, mistakes, look-alikes, odd hand-ins."""
    graded = [row for row in rows if row.result and row.result.is_graded]
    return _template("class.html").render(
        homework=homework,
        rows=rows,
        graded=graded,
        bars=bars([row.result.earned for row in graded], homework.points),
        questions=question_shares(homework, graded),
        mistakes=common_mistakes(graded),
        pairs=look_alikes(homework, graded),
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


def look_alikes(homework: Homework, graded: list[Row]) -> list[similarity.Pair]:
    """Pairs of students who handed in the same file, or code that is nearly the same."""
    pairs, first = [], {}
    for row in graded:
        other = first.setdefault(row.result.submission, row)
        if other is not row and row.result.earned:  # an untouched notebook is everybody's
            students = other.hand_in.student, row.hand_in.student
            pairs.append(similarity.Pair(*students, share=1.0, is_same_file=True))
    sources = {
        row.hand_in.student: "\n".join(cell.source for cell in row.result.cells)[:COMPARED]
        for row in first.values()
    }
    given = [question.starter for question in homework.questions]
    expected = [question.solution for question in homework.questions]
    code = [piece.text for piece in homework.pieces if piece.kind in ("code", "setup")]
    return pairs + similarity.similar_pairs(sources, "\n".join([*code, *given, *expected]))


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
    environment.filters["points"] = "{:g}".format
    environment.filters["percent"] = "{:.0%}".format
    return environment.get_template(name)


def _put(path, text):
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")  # another run may write too
    partial.write_text(text, encoding="utf-8", errors="replace")
    partial.replace(path)
