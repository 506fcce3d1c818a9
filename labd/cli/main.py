"""The `labd` command: one subcommand a module, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import logging
import sys

import click
import typer

from labd.cli import analyse, check, demo, drivers, export, init, report, run, runs, show
from labd.errors import Interrupted, LabdError

app = typer.Typer(
    name="labd",
    help="Measure energy per inference of small AI hardware, with an uncertainty on every figure.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (demo, init, check, run, runs, show, report, export, analyse, drivers):
    module.register(app)


def main(argv: list[str] | None = None) -> None:
    """Run the command line; never returns. Exit codes: see docs/reference/exit-codes.md."""
    logging.basicConfig(level=logging.WARNING, format="labd: %(levelname)s: %(message)s", stream=sys.stderr)
    sys.exit(run_command(argv))


def run_command(argv: list[str] | None = None) -> int:
    """The command line as a function: prints what a user sees and returns the exit code."""
    try:
        answer = app(args=argv, standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as wrong_usage:
        wrong_usage.show()
        return wrong_usage.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        print("labd: interrupted", file=sys.stderr)
        return Interrupted.exit_code
    except LabdError as error:
        for line in _lines(error):
            print(f"labd: error: {line}", file=sys.stderr)
        return error.exit_code
    return answer if isinstance(answer, int) else 0


def _lines(error: LabdError) -> tuple[str, ...]:
    problems = getattr(error, "problems", ())
    return tuple(problems) if problems else (str(error),)
