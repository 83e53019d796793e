"""A table that prints itself: aligned text in a terminal, HTML on a page. Floor 0.

Results of experiments are shown through it, so every cell is written as it shall be read.
"""

import html
from collections.abc import Mapping, Sequence
from numbers import Integral

import numpy as np


class Table:
    """Named columns of one length. Numbers are written with four significant digits.

    Raises `ValueError` unless every column has a name and all have one length.

    >>> Table({"method": ["QR", "Cholesky"], "rank": [10, 10], "residual": [53.4762, 53.4762]})
    method    rank  residual
    QR          10     53.48
    Cholesky    10     53.48
    """

    def __init__(self, columns: Mapping[str, Sequence | np.ndarray]):
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"All columns must have one length, got {lengths}.")
        if not all(columns):  # a screen reader announces a cell by the name of its column
            raise ValueError(f"Every column needs a name, got {list(columns)}.")
        self.columns = {name: [_written(v) for v in column] for name, column in columns.items()}
        self.is_number = {
            name: not any(isinstance(v, str) for v in column) for name, column in columns.items()
        }

    def __repr__(self):
        texts = []
        for name, column in self.columns.items():
            width = max(map(len, [name, *column]))
            align = str.rjust if self.is_number[name] else str.ljust
            texts.append([align(cell, width) for cell in [name, *column]])
        return "\n".join("  ".join(row).rstrip() for row in zip(*texts, strict=True))

    def _repr_html_(self):
        sides = ["right" if number else "left" for number in self.is_number.values()]
        styles = [f'style="padding:0.2em 0.6em;text-align:{side}"' for side in sides]

        def row(cells, tag):
            pairs = zip(cells, styles, strict=True)
            end = tag.split()[0]
            written = (f"<{tag} {style}>{html.escape(cell)}</{end}>" for cell, style in pairs)
            return "<tr>" + "".join(written) + "</tr>"

        body = "".join(row(cells, "td") for cells in zip(*self.columns.values(), strict=True))
        head = row(self.columns, 'th scope="col"')
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


class PrintsTable:
    """Base of the records that show themselves as a table: each defines `table()`."""

    def __repr__(self):
        return repr(self.table())

    def _repr_html_(self):
        return self.table()._repr_html_()


def _written(value):
    if isinstance(value, str | bool | np.bool_):
        return str(value)
    if isinstance(value, Integral):
        return f"{value:,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def rounded(number) -> str:
    """Two significant digits without an exponent, for numbers such as condition numbers.

    >>> rounded(52365337.3)
    '52,000,000'
    """
    return f"{float(f'{number:.2g}'):,.0f}"
