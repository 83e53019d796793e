"""Whether two drawings differ by less than an eye can see.

Another processor sums in another order, so that a coordinate which lies between two hundredths of
a pixel is rounded up on one machine and down on the other.
"""

import re

import numpy as np

TOLERANCE = 0.05  # a drawing is 518 wide

SVG = re.compile(r"<svg .*?</svg>", re.DOTALL)
COORDINATES = re.compile(r'(?<= )(?:d|points|x|y|width|height)="[^"]*"|translate\([^)]*\)')
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
ID = re.compile(r"\bdl[0-9a-f]{8}-")  # made from the content, so they differ where it does


def agree(one: str, other: str) -> bool:
    """Whether the HTML is the same but for coordinates of drawings that differ invisibly.

    >>> page = '<p>1.5</p><svg viewBox="0 0 9 9"><path d="M0 {}" /></svg>'
    >>> agree(page.format("0.12"), page.format("0.13")), agree(page.format("0"), page.format("1"))
    (True, False)
    """
    frames, numbers = zip(*map(_taken_apart, (one, other)), strict=True)
    return frames[0] == frames[1] and np.allclose(*numbers, rtol=0, atol=TOLERANCE)


def _taken_apart(html):
    """The text with gaps for the coordinates of its drawings, and the coordinates."""
    numbers = []

    def emptied(attribute):
        numbers.extend(map(float, NUMBER.findall(attribute[0])))
        return NUMBER.sub("#", attribute[0])

    frame = SVG.sub(lambda drawing: COORDINATES.sub(emptied, ID.sub("dl-", drawing[0])), html)
    return frame, numbers
