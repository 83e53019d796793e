"""`dlcourse estimate`: parameters, FLOPs, hours and money of a training run."""

import typer

app = typer.Typer(help="Estimate what a training run takes.")
