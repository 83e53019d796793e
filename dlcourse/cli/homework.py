"""`dlcourse homework`: release homework, check it before hand-in, grade submissions."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Release, check and grade homework.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(
        help="The homework: its folder below homework/, hw1 or hw2 for its number, or the path of "
        "a master notebook or of a bundle."
    ),
]


@app.command()
def release(
    homework: Name,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the two folders.")
    ] = Path("released"),
):
    """Make the students' notebook and the grader's bundle from a master notebook.

    Hand out what is in OUTPUT/students. Keep OUTPUT/private: it holds the hidden tests, every
    answer, and the secret that hidden inputs are drawn from.
    """
    with _in_one_line():
        from dlcourse.grading import release as room
        from dlcourse.grading.finding import find

        notebook, bundle = room.release(find(homework), output)
        typer.echo(f"For students: {notebook}\nFor the grader, to be kept private: {bundle}")


@app.command("submit-check")
def submit_check(
    notebook: Annotated[Path, typer.Argument(help="Your notebook, for instance mine.ipynb.")],
):
    """Say what a grader would, before you hand in.

    Grades the notebook by its visible tests as the grader does: all cells in a fresh process, with
    the same limits, in the same sandbox where this machine has one. Exit code 0 if it is ready, 1
    if a visible point would be lost.
    """
    with _in_one_line():
        from dlcourse.grading.marking.progress import Progress
        from dlcourse.grading.marking.rehearsal import rehearse

        with Progress() as tell:
            found = rehearse(notebook, tell)
    if found.questions:
        typer.echo("\n\n".join(map(repr, found.questions)) + "\n")
    for remark in found.remarks:
        typer.echo(f"Note: {remark}")
    for problem in found.problems:
        typer.secho(f"Problem: {problem}", fg="red")
    if not found.questions:
        typer.secho("Not ready: nothing could be graded.", fg="red")
        raise typer.Exit(1)
    questions = f"{found.n_passed} of {len(found.questions)} questions pass their visible tests"
    points = f"{found.earned:g} of {found.points:g} points"
    if not found.is_ready:
        typer.secho(f"Not ready: {questions}, {points}.", fg="red")
        raise typer.Exit(1)
    typer.secho(f"Ready to hand in: {questions}, {points}.", fg="green")


@app.command()
def grade(  # noqa: PLR0913  the options of a command are the arguments of its function
    homework: Name,
    submissions: Annotated[
        Path,
        typer.Argument(
            help="Folder with <student>.ipynb or <student>/anything.ipynb, or what Canvas, Moodle, "
            "Gradescope, Brightspace or Blackboard exported, as a folder or a zip archive."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for marks and reports.")
    ] = Path("grades"),
    deadline: Annotated[
        str,
        typer.Option(
            help="Later hand-ins are marked late: 2026-10-01 is the end of that day, "
            "2026-10-01T18:00 that moment of this machine's clock."
        ),
    ] = "",
    times: Annotated[
        str,
        typer.Option(
            help="CSV file of when hand-ins came, with the columns file or student, and handed_in. "
            "Without it the platform's word counts, or when a file was last changed."
        ),
    ] = "",
    roster: Annotated[
        str,
        typer.Option(
            help="CSV file of the class: the gradebook exported from Canvas, the grading worksheet "
            "of Moodle, or any with a column student. Who handed in nothing then has a row, and "
            "canvas.csv or moodle.csv is this file with the marks filled in."
        ),
    ] = "",
    name_pattern: Annotated[
        str,
        typer.Option(
            help="Where the student stands in other names of files: hw1_{student}_*.ipynb, or a "
            "regular expression with (?P<student>...)."
        ),
    ] = "",
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that grade, 0 for one a core.")
    ] = 0,
    scheduler: Annotated[
        str, typer.Option(help="Grade on a Dask cluster, tcp://host:8786, instead.")
    ] = "",
    untrusted_marks: Annotated[
        bool,
        typer.Option(
            "--untrusted-marks",
            help="Grade even where no sandbox holds. Students' code can then forge any mark.",
        ),
    ] = False,
):
    """Grade a folder of submissions; run it again to take up a run that was stopped.

    Writes grades.csv, canvas.csv, moodle.csv, results.json, a report for each student and
    class.html. Results are kept in results.sqlite: what is graded already is not graded again.

    Exit code 0: all hand-ins are graded. 1: the machine failed at some, or a report cannot be
    written; run it again. 2: nothing could be done.
    """
    with _in_one_line():
        from dlcourse.grading import finding
        from dlcourse.grading.marking.folder import grade_folder, rules, setting
        from dlcourse.grading.marking.summary import summary
        from dlcourse.grading.secret import NAME

        path = finding.locate(homework).absolute()
        private = str(path), str(path.with_name(NAME))
        how = setting(workers, scheduler, untrusted_marks)
        how = replace(how, secret=finding.secret_of(path), private=private)
        said = rules(deadline, times, roster, name_pattern)
        done = grade_folder(finding.read(path), submissions, output, how, said)
    for line in [*summary(done.rows), *done.notes]:
        typer.echo(line)
    for line in done.unwritten:
        typer.secho(line, fg="red")
    typer.echo(f"Marks: {output / 'grades.csv'}\nClass report: {done.report}")
    if not done.is_complete:
        raise typer.Exit(1)


@contextlib.contextmanager
def _in_one_line():
    """Errors that a user can cure become one red line and exit code 2."""
    try:
        yield
    except ModuleNotFoundError as error:
        extra = "dask" if error.name == "distributed" else "grading"
        _fail(f"{error}. Install it with `pip install 'dlcourse[{extra}]'`.", error)
    except (ValueError, OSError, RuntimeError) as error:
        _fail(error, error)


def _fail(message, cause):
    typer.secho(f"Error: {message}", fg="red", err=True)
    raise typer.Exit(2) from cause
