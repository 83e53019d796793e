"""`dlcourse estimate`: parameters, FLOPs, hours and money of a training run."""

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup


class _Command(TyperGroup):
    """A command whose context is of the class by which a function of typer asks for it."""

    context_class = typer.Context


app = typer.Typer(help="Estimate what a training run takes.", cls=_Command)
OWN_FAMILY = "yours"  # what a run and the measured ones beside it have in common


@app.callback(invoke_without_command=True)
def estimate(  # noqa: PLR0913  the options of a command are the arguments of its function
    ctx: typer.Context,
    model: Annotated[str | None, typer.Option(help='Its name, such as "ResNet-50".')] = None,
    kind: Annotated[str | None, typer.Option(help="dense-decoder, moe-decoder, cnn, ...")] = None,
    params: Annotated[str | None, typer.Option(help='Parameters, such as "7B".')] = None,
    params_active: Annotated[str | None, typer.Option(help="Those a token passes.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", "--tokens", help='How much data, such as "2T".')
    ] = None,
    data_unit: Annotated[str, typer.Option(help="tokens, images or sequences.")] = "tokens",
    context: Annotated[str | None, typer.Option(help="Tokens of a sequence.")] = None,
    flops: Annotated[str | None, typer.Option(help="FLOPs of the run, if published.")] = None,
    flops_unit: Annotated[str, typer.Option(help="What --flops counts.")] = "FLOPs",
    device: Annotated[str | None, typer.Option(help='Accelerator, such as "H100".')] = None,
    chips: Annotated[str | None, typer.Option(help="How many accelerators.")] = None,
    precision: Annotated[str | None, typer.Option(help="bf16, fp16, tf32, fp32, fp8.")] = None,
    hours: Annotated[str | None, typer.Option(help="Claimed hours on the clock.")] = None,
    budget: Annotated[str | None, typer.Option(help="Dollars: what can they train?")] = None,
    date: Annotated[str | None, typer.Option(help="Month of the price, 2025-06.")] = None,
    measured: Annotated[Path | None, typer.Option(help="JSON list of your own runs.")] = None,
    batch: Annotated[Path | None, typer.Option(help="A JSON list of records.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to.")] = None,
):
    """Hours, money and carbon of one run, of a batch of runs, or what a budget can train."""
    if ctx.invoked_subcommand is not None:
        return
    with _one_red_line():
        own = () if measured is None else _measured(measured)
        if batch is not None:
            _batch(batch, output, own)
        elif budget is not None:
            _budget(budget, device, chips, precision, date)
        elif not any((model, params, params_active, data, flops)):
            typer.echo(ctx.get_help())
        else:
            _check_chips(chips, hours)
            _one(
                {
                    "model": model,
                    "kind": kind,
                    "params_total": params,
                    "params_active": params_active,
                    "data_count": data,
                    "data_unit": data_unit,
                    "seq_len": context,
                    "published_flops": flops,
                    "flops_unit": flops_unit,
                    "accelerator": device,
                    "n_accel": chips,
                    "precision": precision,
                    "wall_clock_h": hours,
                    "family": OWN_FAMILY,
                },
                own,
            )


@app.command()
def params(
    config: Annotated[Path, typer.Argument(help="config.json of a Hugging Face model.")],
    sequence_length: Annotated[int | None, typer.Option(help="Tokens of a sequence.")] = None,
    batch: Annotated[int, typer.Option(help="Sequences or images in a step.")] = 1,
    causal: Annotated[bool, typer.Option(help="Count half of the attention.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
):
    """Parameters and FLOPs of a model, exact integers, with their conventions."""
    with _one_red_line():
        from dlcourse.compute.models import architectures

        found = architectures.config_report(
            architectures.read_config(config), sequence_length, batch, causal
        )
        if as_json:
            typer.echo(json.dumps(found, indent=1))
            return
        conventions = found.pop("conventions")
        _show("Counted", ["quantity", "value"], [(k, f"{v:,}") for k, v in found.items()])
        _show("Conventions", ["what", "choice"], [(k, str(v)) for k, v in conventions.items()])


def _one(record, measured):
    from dlcourse.compute.runs import carbon, cost, hours, records, sceptic

    run = records.read(record, is_strict=True)
    predicted = hours.predict(run, measured)
    finding = sceptic.examine(run)
    _table("Predicted", predicted.table())
    _table("Money", cost.costs(predicted).table())
    if run.device.power_watts is not None:
        _table("Carbon", carbon.emissions(predicted).table())
    if record["wall_clock_h"] is not None:
        if finding.bounds:
            _table("The claim against bounds", finding.table())
        _say(f"The claim is {finding.remark}.")
    _say(f"FLOPs: {predicted.work.flops:.4g}, by {predicted.work.basis}.")
    for text in (*run.assumptions, *predicted.work.assumptions):
        _say(f"Assumed: {text}")
    for text in predicted.work.warnings:
        _say(f"Warning: {text}")


def _check_chips(chips, hours=None):
    from dlcourse.compute.runs import spellings

    if hours is not None and chips is None:
        raise ValueError(
            "`--hours` are hours on the clock, and got no `--chips`. Give the number of chips."
        )
    if chips is not None and not spellings.number(chips, "chips").is_integer():
        raise ValueError(f"`--chips` must be a whole number from 1, got {chips}. Round it.")


def _measured(path):
    """Runs with hours, of the family of the run that is asked for unless they name another."""
    from dlcourse.compute.runs import batch, records

    found = batch.read_list(path.read_text(encoding="utf-8"))
    for record in found:
        if not isinstance(record, dict):
            raise ValueError(
                f"A measured run must be a JSON object, got {type(record).__name__}. "
                "Write its fields and hours in { }."
            )
    return tuple(records.read({"family": OWN_FAMILY} | record, is_strict=True) for record in found)


def _batch(path, output, measured):
    from dlcourse.compute.runs import batch

    text = batch.predictions_json(path.read_text(encoding="utf-8"), measured)
    if output is None:
        typer.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")


def _budget(dollars, device, chips, precision, date):
    from dlcourse.compute.runs import budget, records, spellings

    usd = spellings.number(dollars, "budget")
    _check_chips(chips)
    n_devices = None if chips is None else int(spellings.number(chips, "chips"))
    name = spellings.device(device).name if device else records.DEFAULT_DEVICE
    plan = budget.plan(usd, name, date, precision=precision, n_devices=n_devices)
    _table(f"What ${usd:,.0f} can train", plan.table())


def _table(title, table):
    _show(title, list(table.columns), list(zip(*table.columns.values(), strict=True)))


def _show(title, heads, rows):
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title, title_justify="left")
    for i, head in enumerate(heads):
        shown.add_column(head, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        shown.add_row(*row)
    Console().print(shown)


def _say(text):
    from rich.console import Console

    Console().print(text, markup=False, highlight=False)


@contextmanager
def _one_red_line():
    """Errors of the user become one line and exit code 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        raise typer.Exit(2) from None
