"""Numbers in prose come from code, from a cited source, or from a short list with reasons."""

import re

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import chapters, prose_numbers
from tools.prose_numbers import REVIEWED, faults, in_book, in_notebook, in_text, reviewed

CAUGHT = {
    "The gap fell to 0.37 of the first one.": ["0.37"],
    "It needs 9,072 steps, or 442 at best.": ["9,072", "442"],
    "The error is .05, and −0.5 on the left.": [".05", "0.5"],
    "They agree to 1e-8.": ["1e-8"],
    "It explains 93 % of the variance, 7 percent less.": ["93 %", "7 percent"],
    "An interval 12 percentage points wide.": ["12 percentage points"],
    "It runs in 10 s, or 10s, or 3-5 minutes.": ["10 s", "10s", "5 minutes"],
    "A 3-hour run on 8 GPUs with 80 GB each.": ["3-hour", "8 GPUs", "80 GB"],
    r"It costs \$2 an hour, US$39 for all, 14 cents a run.": ["2", "39", "14 cents"],
    "It has 12 million weights, or 7B, and is 99× smaller.": ["12 million", "7B", "99×"],
    "A context of 2048 words.": ["2048"],
    "| ours | 0.82 |": ["0.82"],
    "- It took 17 minutes.": ["17 minutes"],
    "{glue:text}`all` of them, 31.5 on average.": ["31.5"],
    ":::{prf:theorem} A rate of 0.87\n:label: thm-a\n\nHalf.\n:::": ["0.87"],
    "It ends within ten percent, after twenty-five seconds.": ["10 percent", "25 seconds"],
    "Two hundred and fifty, or three hundred million dollars.": ["300 million"],
    "The floor is twenty times as high, and it is 8 times slower.": ["20 times", "8 times"],
    "It took 251 steps. {cite:t}`polyak1964` took fewer.": ["251"],
}
FREE = [
    "Two of them, a thousand rows, eleven steps, twice as many, three times as fast.",
    "It runs six times in parallel.",
    "In 1805, and again in the 1980s; on 2026-11-23; for the 101st time.",
    "Two of 25 markets, 100 rows, 1,000 steps, a 2 × 2 matrix, 95 times in 100, 3 and 10.",
    "The O(1/k) rate, 1/2 of it, the steps 1, 2, ... and a 22-layer net.",
    "H100, GPT-3, ResNet-50, float64, 2-D, E19 and Python 3.11.",
    "Theorem 6.1, equation (6.5), the slide's (6.1), slides 38 and 39, arXiv:1412.6980.",
    "It fell to {glue:text}`share` percent after {{ n_steps }} s.",
    "The paper's median is 100.5 percentage points wide {cite:p}`lewis2015`.",
    "The slide prints 51 days ({erratum}`E51`).",
    "It printed [44.5 days](https://example.org/a-page) at first.",
    "With $t = 0.137$ and `rate=0.137` it stalls, as $$ x = 4.25 $$ (eq-x) says.",
    "A step of 0.1 is short. Take $t = 0.1$.",
    "Two 95% intervals at the 5 percent level, with 99 percent confidence.",
    "```python\nstep = 0.137\n```",
    ":::{code-block} python\nstep = 0.137\n:::",
    ":::{figure} a.svg\n:width: 37.5%\n:::",
    "(sec-a-123)=\n## A heading",
    "**Cost** about 35 minutes to read, 10 s to run on one core.",
    "---\ntitle: 3.75\n---\n# A page",
    "1. First.\n2. Second.",
]


def numbers(text, known=frozenset()):
    return [typed.number for typed in in_text("page.md", text, known)]


@pytest.mark.parametrize(("text", "found"), CAUGHT.items(), ids=CAUGHT)
def test_what_looks_measured_is_caught(text, found):
    assert numbers(text) == found


@pytest.mark.parametrize("text", FREE)
def test_what_is_computed_cited_or_natural_is_free(text):
    assert numbers(text) == []


decimals = st.floats(0.001, 999).map(lambda value: f"{value:.3f}")
counts = st.integers(10_101, 999_999).filter(lambda n: n % 1000).map(lambda n: f"{n:,}")
with_units = st.tuples(
    st.integers(1, 99), st.sampled_from([" %", " percent", " s", " ms", " GB", " GPUs", " hours"])
).map(lambda pair: f"{pair[0]}{pair[1]}")
places = st.sampled_from(["It is {}.", "A {} more,", "({})", "| a | {} |", "**{}**", "from {} on"])


@given(st.one_of(decimals, counts, with_units), places)
def test_a_measured_number_is_caught_wherever_it_stands(number, place):
    assert numbers(place.format(number)) == [number]
    assert numbers(place.format(f"`{number}`")) == []
    assert numbers(place.format(f"{number} {{cite:p}}`somebody`")) == []
    assert numbers(place.format("{glue:text}`number`")) == []


@given(st.integers(0, 99), places)
def test_a_small_whole_number_is_free_wherever_it_stands(number, place):
    assert numbers(place.format(number)) == []


def chapter(prose, code, tags=(), between=0):
    new = nbformat.v4
    cells = [new.new_code_cell(code, metadata={"tags": list(tags)})]
    cells += [new.new_markdown_cell("Words.") for _ in range(between)]
    return [
        typed.number for typed in in_notebook("a.ipynb", [*cells, new.new_markdown_cell(prose)])
    ]


def test_what_the_code_nearby_sets_may_be_repeated():
    prose = "A step of 0.18, a return of 25 percent, 75 dollars and 1,024 markets."
    code = "%time 1\nrun(step=0.18, roi=0.25, sd=75.0, n=1_024)"
    assert chapter(prose, code) == []
    assert chapter(prose, code.replace("18", "17")) == ["0.18"]
    far_away = chapter(prose, code, between=prose_numbers.NEAR)
    assert far_away == ["0.18", "25 percent", "75 dollars", "1,024"]
    assert chapter(prose, code, tags=["parameters"], between=9) == []


def test_what_the_mathematics_nearby_sets_may_be_repeated():
    new = nbformat.v4
    cells = [new.new_markdown_cell(text) for text in ("$$ t = 0.18 $$ (eq-t)", "A step of 0.18.")]
    assert list(in_notebook("a.ipynb", cells)) == []
    cells[1:1] = [new.new_markdown_cell("Words.") for _ in range(prose_numbers.NEAR)]
    assert [typed.number for typed in in_notebook("a.ipynb", cells)] == ["0.18"]


def test_numbers_in_formulas_repeat_what_is_set_or_are_computed_here():
    new = nbformat.v4
    code = new.new_code_cell("rate = 0.18")
    display = new.new_markdown_cell("$$ a = 0.25 b $$ (eq-a)")

    def found(prose, *cells):
        cells = [*cells, *(new.new_markdown_cell("Words.") for _ in range(9))]
        return [
            typed.number for typed in in_notebook("a.ipynb", [*cells, new.new_markdown_cell(prose)])
        ]

    assert found(r"With $\alpha = 0.18$ and $0.25 b$.") == ["0.18", "0.25"]
    assert found(r"With $\alpha = 0.18$ and $0.25 b$.", code, display) == []
    assert found(r"It is $\ell \approx 0.682$ after $k = 251$ steps of $2$.", code) == [
        "0.682",
        "251",
    ]
    assert found(r"So $1321 / 8 = 165$ and $t = 0.5 \cdot 7.5 = 3.75$.") == []
    assert found(r"So $1321 / 8 = 166$.") == ["1321", "166"]
    assert found(r"It is $s \approx 0.555$ {cite:p}`somebody`.") == []


def test_neither_an_assert_nor_a_count_in_code_makes_a_measurement():
    assert chapter("It holds 0.95 of the time.", "assert share > 0.95") == ["0.95"]
    assert chapter("It takes 10 s.", "run(10)") == ["10 s"]


def test_every_number_of_the_book_is_held_by_something():
    found = list(faults(in_book(), reviewed()))
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize("path", chapters.chapters(), ids=lambda path: path.stem)
def test_a_number_typed_in_place_of_a_glued_one_is_caught(path):
    cells = chapters.read(path).cells
    prose = [cell for cell in cells if "{glue:text}" in cell.source]
    for cell in prose:
        without_citations = re.sub(r"\{cite:.\}`[^`]*`", "", cell.source)
        cell.source = re.sub(r"\{glue:text\}`\w+`", "0.5772", without_citations, count=1)
    found = [typed for typed in in_notebook(path.name, cells) if typed.number.startswith("0.5772")]
    assert len(found) == len(prose) > 0


def test_the_reviewed_list_is_short_and_gives_its_reasons():
    assert len(REVIEWED.read_text().splitlines()) < 30
    for entry in reviewed():
        assert set(entry) == {"page", "number", "words", "reason"}
        assert len(entry["reason"].split()) >= 4, f"{entry['number']!r} needs a reason"


def test_a_fault_names_page_number_sentence_and_cure():
    (fault,) = faults(in_text("a.md", "After $k$ steps 12.5 is left."), [])
    assert 'book/a.md types "12.5" in: "After … steps 12.5 is left."' in fault
    for cure in ("glue(", "cite its source", "typed_numbers.yml"):
        assert cure in fault


def test_a_review_frees_its_number_and_must_still_be_needed():
    entry = {"page": "a.md", "number": "12.5", "words": "steps 12.5", "reason": "it is a joke"}
    typed = list(in_text("a.md", "After ten steps 12.5 is left."))
    assert list(faults(typed, [entry])) == []
    (fault,) = faults([], [entry])
    assert "Delete the entry" in fault
    other_words, unneeded = faults(typed, [entry | {"words": "steps 11.5"}])
    assert "types" in other_words
    assert "Delete the entry" in unneeded
