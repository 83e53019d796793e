import random

import jaxtyping
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.book.evaluation import Outcome, displayed  # noqa: F401  a fixture of every test
from tests.book.ledger import Ledger

# Whatever the machine does besides, the same examples are drawn, and slowness is no failure.
settings.register_profile(
    "steady",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")


def pytest_configure(config):
    config.pluginmanager.register(Ledger(config.rootpath), "ledger")
    config.pluginmanager.register(Outcome(), "outcome")


@pytest.fixture(autouse=True)
def checked_annotations(request):
    """Annotations are checked (see addopts), except where a test passes other input on purpose."""
    is_other = any(request.node.get_closest_marker(name) for name in ("bad_input", "converted"))
    jaxtyping.config.update("jaxtyping_disable", is_other)
    random.seed(0)  # of a list beartype looks at one entry, drawn from this stream
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
