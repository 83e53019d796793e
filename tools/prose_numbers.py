"""Numbers that the book's prose types and that look measured: `python -m tools.prose_numbers`.

A number, in digits or in words, looks measured if it has decimals, more than two significant
digits, a unit, or says how many times as much. It is free where the page computes it (glue, a
substitution), where its sentence cites a source, inside code, and where it repeats what the
mathematics or the code around it sets, since then a change of that code makes the prose fail.
Years, ordinals, names such as "Theorem 6.1" and small whole numbers are free. In mathematics within
a sentence arithmetic such as `$4 / 8 = 0.5$` is computed here; other numbers must repeat what the
chapter's code or a display sets. What is typed all the same is listed, with the reason, in
`book/typed_numbers.yml`.
"""

import ast
import itertools
import re
import sys
from typing import NamedTuple

import yaml
from IPython.core.inputtransformer2 import TransformerManager

from tools import chapters
from tools.formula import Display, Unread
from tools.formula.grammar import NAMES
from tools.formula.lexer import tokens
from tools.statements import displays

REVIEWED = chapters.BOOK / "typed_numbers.yml"
NEAR = 3  # cells before and after, which may set what the prose repeats
YEARS = range(1600, 2036)  # 2048 is a power of two
CITED, COMPUTED, SIGN = "\ue000", "\ue001", "\ue002"  # stand in a sentence for what was there
SHOWN = str.maketrans({CITED: "{cite}", COMPUTED: "{glue}", SIGN: "…"})

NO_PROSE = [  # in the order in which it is taken out
    re.compile(r"\A---\n.*?\n---\n", re.DOTALL),
    re.compile(r"^(`{3,}|~{3,}).*?^\1", re.DOTALL | re.MULTILINE),
    re.compile(r"^(:{3,})\{(?:code-block|code|math|eval-rst)\}.*?^\1$", re.DOTALL | re.MULTILINE),
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"^\([\w-]+\)=$", re.MULTILINE),
    re.compile(r"^[ \t]*:[\w-]+:.*$", re.MULTILINE),  # options of directives
    re.compile(r"^:{3,}(?:\{[\w:-]+\})?", re.MULTILINE),
    re.compile(r"^\*\*Cost\*\* .*$", re.MULTILINE),  # tools/chapters.py writes it
]
MATHEMATICS = re.compile(
    r"\$\$.*?\$\$(?: \([\w-]+\))?|(?<!\\)\$(?=\S)[^$]+?(?<=[^\s\\])\$", re.DOTALL
)
INLINE = [
    (MATHEMATICS, SIGN),
    (re.compile(r"\{(?:cite[^}]*|erratum)\}`[^`]*`"), CITED),  # an erratum's row has its source
    (re.compile(r"\{glue[^}]*\}`[^`]*`|\{\{.*?\}\}"), COMPUTED),
    (re.compile(r"(?:\{[\w:-]+\})?(`+).+?\1", re.DOTALL), SIGN),
    (re.compile(r"\[([^\]]*)\]\(https?://[^)]*\)"), rf"\1 {CITED}"),
    (re.compile(r"\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"<?https?://\S+"), CITED),
    (re.compile(r"</?[a-zA-Z][^>]*>"), " "),
    (re.compile(r"\*+|(?<!\w)_+|_+(?!\w)"), ""),
]
BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-+*]|\d+\.)\s)|\n(?=\s*[|#:])")
MARKER = re.compile(r"^\s*(?:[-+*:]|\d+\.|#+)\s+")
SENTENCE = re.compile(rf"(?<=[.!?])[\"')\]]*\s+(?=[\"'(]?[A-Z\d{CITED}{COMPUTED}{SIGN}])")

NUMBER = re.compile(
    r"(?<![\w.,/])(?<![^\W\d]-)"  # not the 100 of H100, the 3 of GPT-3, the 1 of 0.2.1
    r"((?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:e[+-]?\d+)?)(?<=\d)(?!\.?\d)"
)
HUNDREDTHS = re.compile(r"[\s-]?(?:%|per ?cent\b|percentage points?\b|cents?\b)")
DOLLARS = re.compile(r"[\s-]?(?:dollars?|USD|euros?)\b")
BEFORE_MONEY = re.compile(r"(?:\\\$|US\$|€)\s*$")
UNIT = re.compile(
    r"[\s-]?(?:ns|µs|ms|s|sec|seconds?|min|minutes?|h|hrs?|hours?|days?|weeks?|months?|years?"
    r"|bits?|bytes?|[kKMGTP]i?B|[kMGTPE]?FLOPs?|[kKMGT]?Hz|k?Wh?|pixels?|px"
    r"|GPUs?|CPUs?|cores?|tokens?/s|thousand|million|billion|trillion)(?!\w)"
    rf"|[KMBT](?!\w)|\s?×(?!\s?[\d{SIGN}])"
)
RATIO = re.compile(r"(?:[\s-]times| fold|-fold)(?= (?:as|the|its|more|less|fewer|\w+er)\b)|-fold\b")
ONES = """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen""".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
WORDS = {word: i for i, word in enumerate(ONES, 1)} | {w: 10 * i for i, w in enumerate(TENS, 2)}
POWERS = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9}
IN_WORDS = re.compile(
    rf"\b(?:({'|'.join(TENS)})-)?({'|'.join(WORDS)})\b(?:[\s-]({'|'.join(POWERS)})\b)?",
    re.IGNORECASE,
)
LEVEL = re.compile(r"[\s-]?(?:%|percent)[\s-](?:confidence\b|prediction\b|intervals?\b|level\b)")
NAMED = re.compile(  # the number belongs to a name: of a theorem, a release, a preprint
    r"\b(?:chapter|section|theorem|lemma|algorithm|table|figure|equation|slides?|slide's|pages?"
    r"|arXiv|Python|PyTorch|torch|NumPy|SciPy|CUDA|version)[\s:]*\(?$",
    re.IGNORECASE,
)
FREE = re.compile(r"\b\d{4}-\d\d-\d\d\b|\b1[6-9]\d0s\b|\b20[0-3]0s\b|\b\d+(?:st|nd|rd|th)\b")


class Typed(NamedTuple):
    """A number that nothing holds, and the sentence in which it stands."""

    page: str
    number: str
    sentence: str

    def __str__(self):
        return (
            f'book/{self.page} types "{self.number}" in: "{self.sentence}" Compute it, '
            '`glue(name=f"{value:.3g}")` in a cell and `{glue:text}` in the prose; or cite its '
            f"source in the same sentence; or list it with a reason in book/{REVIEWED.name}."
        )


def sentences(text):
    """The sentences of Markdown as they are read, with signs for what is no prose."""
    for pattern in NO_PROSE:
        text = pattern.sub("\n\n", text)
    for pattern, sign in INLINE:
        text = pattern.sub(sign, text)
    for block in BLOCK.split(text):
        yield from SENTENCE.split(" ".join(MARKER.sub("", block).split()))


def in_digits(match):
    """A number in words, `twenty-five` or `two hundred`, as digits."""
    tens, ones, power = (part and part.lower() for part in match.groups())
    return str((WORDS.get(tens, 0) + WORDS[ones]) * POWERS.get(power, 1))


def measured(sentence, known=frozenset()):
    """The numbers of a sentence that look measured and repeat none of the `known` ones."""
    sentence = IN_WORDS.sub(in_digits, FREE.sub(SIGN, sentence))
    for match in NUMBER.finditer(sentence):
        before, after = sentence[: match.start()], sentence[match.end() :]
        value = float(match[0].replace(",", ""))
        hundredths = HUNDREDTHS.match(after)
        money = DOLLARS.match(after) or BEFORE_MONEY.search(before)
        ratio = RATIO.match(after) if value > 4 else None
        unit = hundredths or DOLLARS.match(after) or UNIT.match(after) or ratio
        is_name = NAMED.search(before) or LEVEL.match(after) or not unit and after[:1].isalpha()
        is_set = (round(value / 100, 12) if hundredths else value) in known
        may_repeat = hundredths or money or not unit  # a run's seconds are set by no code
        if not is_name and (unit or money or is_exact(match[0])) and not (is_set and may_repeat):
            yield match[0] + (unit[0] if unit else "")


def is_exact(digits):
    """Whether a number has decimals, or more than two significant digits and is no year."""
    if "." in digits or "e" in digits:
        return True
    is_year = "," not in digits and int(digits) in YEARS
    return len(digits.replace(",", "").strip("0")) > 2 and not is_year


def set_in_displays(text):
    """The numbers in the displays of a text, which tests evaluate."""
    return set().union(*map(set_in_mathematics, (f"$${t}$$" for t in displays(text).values())))


def set_in_mathematics(text):
    """The numbers in the mathematics of a text: `$t = 0.1$` frees a later 0.1."""
    found = " ".join(match[0] for match in MATHEMATICS.finditer(text))
    return {float(number) for number in re.findall(r"\d+(?:\.\d+)?", found)}


def set_in_code(source):
    """The numbers in the code of a cell, without the thresholds of its asserts."""
    tree = ast.parse(TransformerManager().transform_cell(source))
    asserts = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    asserted = {id(part) for statement in asserts for part in ast.walk(statement)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    values = [node.value for node in constants if id(node) not in asserted]
    return {float(value) for value in values if type(value) in (int, float)}


SETS = {"code": set_in_code, "markdown": set_in_mathematics}


INLINE_NUMBER = re.compile(
    r"(?<![\w.])(\d+(?:(?:\{,\}|,)\d{3})*(?:\.\d+)?)(?:\s*\\cdot\s*10\^(?:\{(-?\d+)\}|(\d)))?"
)


def in_formulas(page, text, known):
    """Numbers in inline mathematics that look measured and that nothing holds."""
    for block in re.split(r"\n\s*\n", text):
        for match in MATHEMATICS.finditer("" if "{cite" in block else block):
            tex = match[0].strip("$")
            if match[0].startswith("$$") or is_arithmetic(tex):
                continue
            for digits, power in inline_numbers(tex):
                is_long = "." in digits or len(digits.strip("0")) > 2  # no year stands in a formula
                if is_long and float(f"{digits}e{power}") not in known:
                    yield Typed(page, digits, f"${tex}$")


def inline_numbers(tex):
    """Pairs of the digits of a number and its power of ten, `2.5 \\cdot 10^7`."""
    for number, braced, bare in INLINE_NUMBER.findall(tex):
        yield number.replace("{,}", "").replace(",", ""), int(braced or bare or 0)


def is_arithmetic(tex):
    """Whether it relates numbers, `4 / 8 = 0.5` or `t = 4 / 8 = 0.5`, to the digits it prints."""
    sides = [side for side in re.split(r"=|\\approx", tex) if not has_names(side)]
    printed = [list(inline_numbers(side))[-1:] for side in sides[1:]]
    if not printed or not all(printed):
        return False
    units = [10.0 ** (power - len(digits.partition(".")[2])) for ((digits, power),) in printed]
    try:
        first, *others = (float(Display("", side).value({})) for side in sides)
    except (Unread, ValueError, TypeError):
        return False
    return all(abs(first - b) <= 0.501 * unit for b, unit in zip(others, units, strict=True))


def has_names(tex):
    return any(token.isalpha() or token in NAMES - {r"\pi"} for token in tokens(tex))


def in_text(page, text, known=frozenset()):
    """What one page, or one cell, types and should not."""
    known = known | set_in_mathematics(text)
    for sentence in sentences(text):
        if CITED not in sentence:
            for number in measured(sentence, known):
                yield Typed(page, number, sentence.translate(SHOWN))


def in_notebook(page, cells):
    """What the prose of a chapter types and should not."""
    known = [SETS[cell.cell_type](cell.source) for cell in cells]
    tagged = ["parameters" in cell.metadata.get("tags", []) for cell in cells]
    parameters = set().union(*itertools.compress(known, tagged))
    whole = set().union(*(set_in_code(c.source) for c in cells if c.cell_type == "code"))
    whole |= set().union(*(set_in_displays(c.source) for c in cells if c.cell_type == "markdown"))
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            near = known[max(i - NEAR, 0) : i + NEAR + 1]
            yield from in_text(page, cell.source, parameters.union(*near))
            yield from in_formulas(page, cell.source, whole)


def in_book():
    """What the pages and chapters of the book type and should not, before any review."""
    for path in sorted(chapters.BOOK.rglob("*.md")):
        page = path.relative_to(chapters.BOOK).as_posix()
        yield from in_text(page, path.read_text(encoding="utf-8"))
    for path in sorted(chapters.BOOK.glob("*.ipynb")):
        yield from in_notebook(path.name, chapters.read(path).cells)


def faults(found, reviewed):
    """Sentences on typed numbers that nobody reviewed, and on reviews that free nothing."""
    entries = {(r["page"], r["number"], r["words"]): r for r in reviewed}
    used = set()
    for typed in found:
        keys = [k for k in entries if k[:2] == typed[:2] and k[2] in typed.sentence]
        used.update(keys)
        if not keys:
            yield str(typed)
    for page, number, words in entries.keys() - used:
        yield (
            f'book/{REVIEWED.name} frees "{number}" in book/{page}, near "{words}", and no such '
            "number is typed there any more. Delete the entry."
        )


def reviewed():
    """The entries of the list: page, number, a few words beside it, reason."""
    return yaml.safe_load(REVIEWED.read_text(encoding="utf-8")) or []


if __name__ == "__main__":
    sys.exit("\n\n".join(faults(in_book(), reviewed())))
