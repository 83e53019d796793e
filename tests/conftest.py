import numpy as np
import pytest

from tests.book.ledger import Ledger


def pytest_configure(config):
    config.pluginmanager.register(Ledger(config.rootpath), "ledger")


@pytest.fixture
def rng():
    return np.random.default_rng(0)
