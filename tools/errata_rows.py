"""The rows of `book/errata.yml`: what is printed, what is true, and the tests that show it."""

import functools
import re
from pathlib import Path
from typing import NamedTuple

import yaml

BOOK = Path(__file__).parents[1] / "book"
VERDICTS = ["wrong", "imprecise", "stale", "right"]  # the page says what they mean
PLACE = re.compile(r"<(\w+)>")  # of a number that a test holds


class Row(NamedTuple):
    """An erratum. Texts are Markdown, with `<name>` where the number of that name is printed."""

    id: str
    where: int | list | str
    printed: str
    verdict: str
    correct: str
    source: str
    chapter: str = ""
    shown: str = ""
    tests: list = []
    unchecked: str = ""
    numbers: dict = {}

    @property
    def slides(self):
        """The slides that it is on; none of a source."""
        where = [self.where] if isinstance(self.where, int) else self.where
        return [] if isinstance(where, str) else where

    @property
    def anchor(self):
        return self.id.lower()

    def text(self, field):
        """A text with its numbers put in."""
        return PLACE.sub(lambda match: typeset(self.numbers[match[1]]), getattr(self, field))


def typeset(number):
    """A number as a page shows it: powers of ten and minus signs become mathematics."""
    digits, _, power = number.partition("e")
    if power:
        return rf"${digits} \times 10^{{{power}}}$"
    return f"${number}$" if number.startswith("-") else number


@functools.cache  # the book names its errata on many pages, and to parse them takes a second
def read(book=BOOK):
    """The rows by id, in the order of the file; none where there is no such file."""
    path = Path(book, "errata.yml")
    rows = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else []
    return {row["id"]: Row(**row) for row in rows}
