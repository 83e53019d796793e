"""What `import dlcourse` gives, and what it does not import."""

import pkgutil
import subprocess
import sys
from importlib.util import find_spec

import jaxtyping
import numpy as np
import pytest
from typer.testing import CliRunner

import dlcourse
from dlcourse.cli import app
from dlcourse.losses import SquaredError, sigmoid


def test_rooms_come_when_they_are_asked_for_and_not_before():
    code = (
        "import sys, dlcourse\n"
        "assert [name for name in sys.modules if name.startswith('dlcourse.')] == []\n"
        "assert not {'numpy', 'scipy', 'torch', 'matplotlib'} & {*sys.modules}\n"
        "assert 'optim' in dir(dlcourse)\n"
        "print(dlcourse.optim.SGD(0.1), dlcourse.losses.SquaredError.__name__)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "SGD(learning_rate=0.1) SquaredError\n", run.stderr


def test_a_room_that_is_not_there_is_an_attribute_error_that_lists_the_rooms():
    with pytest.raises(AttributeError, match="no room `optimizers`. Its rooms: .*optim, "):
        _ = dlcourse.optimizers
    assert not hasattr(dlcourse, "_inplace")


def test_the_command_says_its_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"dlcourse {dlcourse.__version__}\n"


def test_every_module_is_checked_in_the_test_run():
    names = ["dlcourse", *(m.name for m in pkgutil.walk_packages(dlcourse.__path__, "dlcourse."))]
    loaders = {name: type(find_spec(name).loader).__module__ for name in names}
    assert [name for name in names if not loaders[name].startswith("jaxtyping.")] == []
    assert len(names) > 200


@pytest.mark.parametrize("y", [np.ones((4, 1)), np.ones(3), np.ones(4, dtype=int)])
def test_a_planted_wrong_shape_or_kind_is_caught(y):
    with pytest.raises(jaxtyping.TypeCheckError, match="parameter 'y'"):
        SquaredError(np.ones((4, 2)), y)


def test_a_planted_wrong_result_is_caught(monkeypatch):
    monkeypatch.setattr(np, "where", lambda *args: np.ones((3, 1)))
    with pytest.raises(jaxtyping.TypeCheckError, match="return value of dlcourse.losses.sigmoid"):
        sigmoid(np.zeros(3))


@pytest.mark.bad_input
def test_bad_input_that_is_marked_meets_the_error_that_users_see():
    with pytest.raises(ValueError, match="Use `y.ravel"):
        SquaredError(np.ones((4, 2)), np.ones((4, 1)))


@pytest.mark.converted
def test_input_that_is_marked_as_converted_comes_through():
    assert SquaredError([[1], [1]], [1, 3])([2])[0] == 0.5
