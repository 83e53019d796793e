"""The command `dlcourse`: each subcommand is a thin door to one room of the package."""

from typing import Annotated

import typer

import dlcourse
from dlcourse.cli import estimate, homework

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


def _print_version(is_asked: bool) -> bool:
    if is_asked:
        print(f"dlcourse {dlcourse.__version__}")
        raise typer.Exit
    return is_asked


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Say which version this is."
        ),
    ] = False,
):
    """Companion of the executable book on deep learning."""


app.add_typer(homework.app, name="homework")
app.add_typer(estimate.app, name="estimate")
