"""Figures are compared as drawings: what an eye cannot see passes, anything else fails."""

import pytest

from tools.drawings import TOLERANCE, agree

PAGE = (
    '<figure>Loss {caption}<svg viewBox="0 0 9 9" aria-label="{alt}"><g clip-path="url(#{name}-0)">'
    '<path d="M0 {y}L1.5-{y}" style="stroke:{color}" /></g>'
    '<g transform="translate({x} 2) scale({scale} 1)" /></svg></figure>'
)
STORED = {
    "caption": "0.31",
    "alt": "A line.",
    "name": "dl0123abcd",
    "y": "2.41",
    "color": "#aa0011",
    "x": "3.10",
    "scale": "0.1",
}


def test_coordinates_and_the_names_made_from_them_may_differ_by_rounding():
    near = STORED | {"name": "dl9876fedc", "y": "2.42", "x": "3.11"}
    assert agree(PAGE.format(**STORED), PAGE.format(**near))


@pytest.mark.parametrize(
    "change",
    [
        {"y": f"{2.41 + 1.1 * TOLERANCE:.3f}"},
        {"x": "3.3"},
        {"caption": "0.32"},
        {"alt": "Another line."},
        {"color": "#aa0012"},
        {"scale": "0.11"},
        {"y": "2.41L3 3"},
    ],
    ids=str,
)
def test_what_can_be_seen_or_read_fails(change):
    assert not agree(PAGE.format(**STORED), PAGE.format(**(STORED | change)))


def test_numbers_outside_of_drawings_are_compared_as_text():
    assert not agree("<td>0.411</td>", "<td>0.412</td>")
