"""The command `dlcourse`: each subcommand is a thin door to one room of the package."""

import typer

from dlcourse.cli import estimate, homework

app = typer.Typer(
    help="Companion of the executable book on deep learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.add_typer(homework.app, name="homework")
app.add_typer(estimate.app, name="estimate")
