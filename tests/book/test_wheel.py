"""The package as others get it: a wheel in a clean environment, chapters in an arbitrary folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests import ROOT
from tests.book.test_chapters import INSTALL
from tools import chapters, environment

UV = [sys.executable, "-m", "uv"]
# What a reader would want to change, other than it is stored.
OTHER_PARAMETERS = {
    "least_squares": {"seed": 7, "n_draws": 1_500, "noise_sd": 0.4, "degree": 4},
    "gradient_descent": {"seed": 7, "n_problems": 10, "kappa": 50.0, "n_steps": 300},
    "logistic_regression": {
        "seed": 7,
        "n_draws": 300,
        "n_observations": 2_500,
        "degree": 3,
        "n_steps": 200,
        "n_escape": 3_000,
    },
    "supervised_learning": {"seed": 7, "n_days": 800, "n_small": 25, "n_noise": 200},
    "stochastic_gradients": {"seed": 7, "n_large": 512, "n_epochs": 30, "n_stream": 10_000},
    "momentum": {"seed": 7, "kappa": 50.0, "strong": 0.95, "lam": 0.02},
    "muon": {"seed": 3, "n_seeds": 4, "n_steps": 150, "largest_logit": 900.0},
    "adam": {"seed": 7, "beta1": 0.8, "beta2": 0.99, "n_seeds": 6, "lam": 0.1},
    "hardware": {"seed": 1, "n_params": 13_000_000_000, "draw_my_machine": True},
    "parallel_training": {"seed": 7, "n_rows": 150, "n_steps": 20, "n_workers": 3},
    "training_cost": {"budget_usd": 500.0, "device": "A100", "month": "2024-06"},
    "scoreboard": {"n_worst": 4},
    "theorems": {"seed": 7, "n_problems": 10},
}


def run(*command, **options):
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=6000, **options
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder that holds the wheel of this package and nothing else."""
    folder = tmp_path_factory.mktemp("wheels")
    run(*UV, "build", "--wheel", "--no-build-isolation", "--out-dir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def clean_python(wheels, tmp_path_factory):
    """Python of an environment with the wheel, what it depends on, and papermill."""
    home = tmp_path_factory.mktemp("clean")
    run(*UV, "venv", "--seed", home / "venv")
    python = home / "venv" / "bin" / "python"
    (wheel,) = wheels.glob("dlcourse-*.whl")
    pins = [argument for name in environment.LOCKS for argument in ("--constraint", ROOT / name)]
    tools = [f"dlcourse[torch,theorems] @ {wheel.as_uri()}", "ipykernel", "papermill"]
    source = environment.torch_source()
    run(*UV, "pip", "install", "--python", python, *source, *pins, *tools)
    return python


def papermill(python, source, folder, *arguments):
    """Run a notebook as a reader would who has only the wheel; its executed form."""
    target = folder / "executed.ipynb"
    command = [
        python,
        "-m",
        "papermill",
        source,
        target,
        "--kernel",
        "python3",
        "--no-progress-bar",
    ]
    # Containers often forbid Python to keep what it compiles: each kernel would compile torch anew.
    left_out = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    run(*command, *arguments, cwd=folder, env=inherited)
    return chapters.read(target)


def test_the_wheel_holds_the_package_and_nothing_else(clean_python):
    code = "import dlcourse, sys; print(dlcourse.__file__); print('numpy' in sys.modules)"
    place, has_numpy = run(clean_python, "-c", code, cwd=clean_python.parents[2]).split()
    assert Path(place).is_relative_to(clean_python.parents[1])
    assert has_numpy == "False", "`import dlcourse` must import nothing heavy"


@pytest.mark.parametrize("path", chapters.chapters(), ids=lambda path: path.stem)
def test_a_chapter_runs_from_an_arbitrary_folder_with_other_parameters(
    clean_python, tmp_path, path
):
    changes = OTHER_PARAMETERS[path.stem]
    arguments = [part for name, value in changes.items() for part in ("-p", name, value)]
    executed = papermill(clean_python, path, tmp_path, *arguments)
    injected = [c for c in executed.cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert len(injected) == 1
    stored = [cell.get("outputs") for cell in chapters.read(path).cells]
    fresh = [c.get("outputs") for c in executed.cells if c not in injected]
    assert str(stored) != str(fresh), "other parameters changed no output"


def test_the_first_cell_installs_what_is_missing(clean_python, wheels, tmp_path, monkeypatch):
    notebook = nbformat.v4.new_notebook()
    sources = [INSTALL, "import dlcourse\n\ndlcourse.__version__"]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, tmp_path / "first.ipynb")
    run(*UV, "pip", "uninstall", "--python", clean_python, "dlcourse")
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    with pytest.raises(AssertionError, match="no wheel of it(.|\n)*Put it there"):
        papermill(clean_python, "first.ipynb", tmp_path)

    for wheel in wheels.glob("dlcourse-*.whl"):
        shutil.copy(wheel, tmp_path)
    executed = papermill(clean_python, "first.ipynb", tmp_path)
    assert executed.cells[1].outputs[0].data["text/plain"] == "'0.1.0'"
    run(clean_python, "-c", "import dlcourse")
