"""The numbers that a row of the errata page prints, handed to the tests that must find them."""

from decimal import Decimal

import pytest

from tools import errata_rows


class Printed:
    """Numbers of one row, as printed. `tests/book/test_errata.py` demands that each is compared."""

    def __init__(self, numbers):
        self.numbers = numbers

    def agrees(self, within=0.0, **found):
        """Raise unless each value rounds to what is printed, or is `within` so much of it."""
        for name, value in found.items():
            assert self.distance(name, value) <= max(within, self.half_a_digit(name)), (
                f"{name}: the page prints {self.numbers[name]}, the test finds {value!r}"
            )

    def differs(self, **found):
        """Raise if a value rounds to what is printed: it is quoted as an error."""
        for name, value in found.items():
            assert self.distance(name, value) > self.half_a_digit(name), (
                f"{name}: the page quotes {self.numbers[name]} as an error, the test finds it true"
            )

    def distance(self, name, value):
        return abs(float(value) - float(self.decimal(name)))

    def half_a_digit(self, name):
        return 0.5 * 10.0 ** self.decimal(name).as_tuple().exponent * (1 + 1e-9)

    def decimal(self, name):
        return Decimal(self.numbers[name].replace(",", ""))


@pytest.fixture
def printed(request):
    """What the rows print that the test's marker names."""
    ids = request.node.get_closest_marker("erratum").args
    rows = errata_rows.read()
    return Printed({name: text for id_ in ids for name, text in rows[id_].numbers.items()})
