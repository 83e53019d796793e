"""One style for every figure of the book: the canvas, the colors, and the SVG that a page shows.

A chapter's figure module draws on a `canvas` and returns a `Figure`, which shows itself as one
inline SVG. The SVG takes the color of its ink from the page around it, so it is drawn once and
reads on a light and on a dark page.
"""

import hashlib
import html
import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure as Drawing
from matplotlib.legend import Legend

# Each has a contrast of at least 3:1 on white and on the dark page, and any two stay apart for a
# color-blind reader. No color can reach the 4.5:1 of text on both pages: write in INK.
PALETTE = ("#0075fc", "#bd8700", "#b424a2", "#bd3636", "#8f8f8f")
DASHES = ("-", "--", "-.", (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5, 1.5, 1.5)))
INK = "#000000"  # Matplotlib's own default, so that every text left alone is ink as well

WIDTH_INCHES = 6.0  # shown up to 40rem wide, where the text of ten points is almost 1rem high
STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "grid.linewidth": 0.6,
}
SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
NOT_DRAWN = (SVG + "metadata", SVG + "style")  # its style would apply to all of the page
OUTPUT = {"svg.fonttype": "path", "svg.hashsalt": "dlcourse"}


def canvas(n_columns=1, height=3.6):
    """An empty drawing as wide as the text and its axes: one `Axes`, or an array of `n_columns`.

    `height` is in inches. Lines take their colors from `PALETTE` and their dashes from `DASHES`
    in turn, so that no line is told apart by its color alone.
    """
    with rc_context(STYLE):
        drawing = Drawing(figsize=(WIDTH_INCHES, height))
        axes = drawing.subplots(1, n_columns)
    for ax in np.atleast_1d(axes):
        ax.patch.set_visible(False)
        ax.set_prop_cycle(color=PALETTE, linestyle=DASHES)
    drawing.patch.set_visible(False)
    return drawing, axes


class Figure:
    """A finished figure: its drawing as SVG, the data drawn, a caption and a text alternative.

    `data` holds the arrays that were drawn; tests assert on them. `caption` says what to see;
    `alt` says what the figure shows to a reader who cannot see it. Both are plain text.
    Raises `ValueError` if one of the three is empty, or if the two texts are the same.
    """

    def __init__(self, drawing: Drawing, data: Mapping, caption: str, alt: str):
        if not data or any(np.size(drawn) == 0 for drawn in data.values()):
            raise ValueError(
                "A figure needs the `data` that it draws, or no test can hold its caption to "
                f"them; got {dict(data)!r}. Return the arrays by name, none of them empty."
            )
        if not caption.strip() or not alt.strip():
            raise ValueError(
                f"A figure needs a `caption` and an `alt` text, got caption={caption!r} and "
                f"alt={alt!r}. Say in `caption` what to see and in `alt` what is drawn."
            )
        if caption.strip() == alt.strip():
            raise ValueError(
                "`alt` must differ from `caption`: a screen reader reads both. Describe in `alt` "
                "the axes and the lines, for a reader who cannot see them."
            )
        self.data, self.caption, self.alt = dict(data), caption, alt
        self.svg = inline_svg(drawing, alt)

    def __repr__(self):
        return f"Figure: {self.alt}"

    def _repr_html_(self):
        return (
            f'<figure class="dl-figure" style="margin:1rem 0;max-width:40rem">{self.svg}'
            f"<figcaption>{html.escape(self.caption)}</figcaption></figure>"
        )


def inline_svg(drawing, alt):
    """The drawing as one `<svg>` element that a page can hold beside others, the same each time."""
    for legend in drawing.findobj(Legend):
        legend.set_frame_on(False)  # its white box would shine on a dark page
    buffer = io.StringIO()
    with rc_context(OUTPUT):
        drawing.savefig(buffer, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    view_box = root.get("viewBox")
    root.attrib.clear()
    for element in list(root.iter()):
        element[:] = [child for child in element if child.tag not in NOT_DRAWN]
        _shorten(element)
    content = alt + ElementTree.tostring(root, encoding="unicode")
    _name_ids(root, prefix="dl" + hashlib.sha256(content.encode()).hexdigest()[:8])
    _unwrap(root)
    root.attrib.update(
        {
            "xmlns": SVG[1:-1],
            "viewBox": view_box,
            "role": "img",
            "aria-label": alt,
            "fill": "currentColor",
            "stroke-linejoin": "round",
            "style": "display:block;width:100%;height:auto",
        }
    )
    return ElementTree.tostring(root, encoding="unicode")


def _shorten(element):
    """Round coordinates to two decimals, drop spaces, turn ink into the color of the page."""
    element.text = element.tail = None
    element.tag = element.tag.removeprefix(SVG)
    for name in {"d", "points", "x", "y", "width", "height"} & element.attrib.keys():
        element.set(name, re.sub(r"\s*([A-Za-z]|$)\s*", r"\1", _rounded(element.get(name))))
    if "transform" in element.attrib:  # its scales keep all their digits
        element.set("transform", re.sub(r"translate\(.*?\)", _rounded, element.get("transform")))
    if "style" in element.attrib:
        style = element.get("style").replace(INK, "currentColor")
        element.set("style", re.sub(r"([:;]) ", r"\1", style))


def _rounded(text):
    """The text, or the text that a pattern matched, with every number cut to two decimals."""
    text = text if isinstance(text, str) else text[0]
    return re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), text)


def _name_ids(root, prefix):
    """Keep the ids that something refers to, under names that no other figure has."""
    names = {}

    def renamed(name):
        return names.setdefault(name, f"{prefix}-{len(names)}")

    for element in root.iter():
        target = element.attrib.pop(XLINK + "href", "")
        if target:
            element.set("href", f"#{renamed(target[1:])}" if target[0] == "#" else target)
        clip = element.get("clip-path", "")
        if clip:
            element.set("clip-path", f"url(#{renamed(clip[5:-1])})")
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in names:
            element.set("id", names[name])


def _unwrap(element):
    """Put the children of a group without attributes in its place, and drop what is empty."""
    children = []
    for child in element:
        _unwrap(child)
        if child.tag == "g" and not child.attrib:
            children.extend(child)
        elif child.tag != "defs" or len(child):
            children.append(child)
    element[:] = children
