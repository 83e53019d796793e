import numpy as np
import pytest
from bs4 import BeautifulSoup

from dlcourse.tables import PrintsTable, Table

COLUMNS = {"name": ["a", "long name"], "count": [3, 12_345], "share": [0.123456, 7.0]}


def test_text_is_aligned_and_numbers_stand_on_the_right():
    assert repr(Table(COLUMNS)).splitlines() == [
        "name        count   share",
        "a               3  0.1235",
        "long name  12,345       7",
    ]


def test_numbers_of_numpy_are_written_like_those_of_python():
    ours = Table({"count": list(np.array([3, 12_345])), "yes": list(np.array([True, False]))})
    assert ours.columns == {"count": ["3", "12,345"], "yes": ["True", "False"]}


def test_large_numbers_are_written_without_an_exponent():
    assert Table({"x": [76_423.4, 9_999.4, 1e9]}).columns["x"] == ["76,423", "9999", "1e+09"]


def test_the_page_holds_the_same_cells_with_their_heads():
    soup = BeautifulSoup(Table(COLUMNS)._repr_html_(), "html.parser")
    assert [head.text for head in soup.find_all("th", scope="col")] == list(COLUMNS)
    cells = [[cell.text for cell in row.find_all("td")] for row in soup.tbody.find_all("tr")]
    assert cells == [["a", "3", "0.1235"], ["long name", "12,345", "7"]]


def test_cells_cannot_carry_markup():
    assert "<b>" not in Table({"<b>": ["<b>"]})._repr_html_()


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one length, got {'a': 1, 'b': 2}"):
        Table({"a": [1], "b": [1, 2]})


def test_a_column_without_a_name_is_refused():
    with pytest.raises(ValueError, match="needs a name"):
        Table({"": ["price"], "truth": [1.0]})


def test_a_record_prints_its_table():
    class Record(PrintsTable):
        def table(self):
            return Table(COLUMNS)

    assert repr(Record()) == repr(Table(COLUMNS))
    assert Record()._repr_html_() == Table(COLUMNS)._repr_html_()
