"""What `import dlcourse` gives, and what it does not import."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import dlcourse
from dlcourse.cli import app


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
