"""`dlcourse homework`: release homework, check it before hand-in, grade submissions."""

import typer

app = typer.Typer(help="Release, check and grade homework.", no_args_is_help=True)
