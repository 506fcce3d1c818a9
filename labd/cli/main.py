"""The `labd` command: one subcommand a module, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from labd.cli.commands import Commands
from labd.errors import FileError, Interrupted, LabdError

# typer brings click's classes along under its own name since 0.16, and click's own before
WrongUsage: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

HERE_ONLY = frozenset(
    {
        "agent",
        "cards",
        "demo",
        "discover",
        "flash",
        "grafana",
        "guard",
        "init",
        "model",
        "record",
        "serve",
        "token",
        "udev",
        "units",
    }
)

app = typer.Typer(
    name="labd",
    cls=Commands,
    help="Measure energy per inference of small AI hardware, with an uncertainty on every figure.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from labd.analyse.environment import versions  # no other command needs it before its own work

        print(f"labd {versions()['labd']}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    bench: Annotated[
        str | None, typer.Option("--bench", metavar="HOST:PORT", help="The daemon to talk to; left out, LABD_BENCH or that of the store.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", help="PEM file: the certificate, or its authority's, to trust there; left out, LABD_CA.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also tell what labd notices on its way.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")] = False,
) -> None:
    if bench and context.invoked_subcommand in HERE_ONLY:
        raise FileError("--bench", "", f"labd {context.invoked_subcommand} works on this machine only")
    context.obj = bench  # labd.cli.bench_option finds it there, and ca among the parameters
    logging.getLogger().setLevel(logging.INFO if verbose else logging.ERROR)


def main(argv: list[str] | None = None) -> None:
    """Run the command line; never returns. Exit codes: see docs/reference/exit-codes.md."""
    logging.basicConfig(level=logging.ERROR, format="labd: %(levelname)s: %(message)s", stream=sys.stderr)
    sys.exit(run_command(argv))


def run_command(argv: list[str] | None = None) -> int:
    """The command line as a function: prints what a user sees and returns the exit code."""
    try:
        answer = app(args=argv, standalone_mode=False)
    except typer.Exit as leave:
        return leave.exit_code
    except WrongUsage as error:
        return _complain([_usage(error)], FileError.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _complain(["interrupted"], Interrupted.exit_code)
    except BrokenPipeError:  # `labd runs | head`: nobody reads on
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  the interpreter flushes it at its end
        return 0
    except LabdError as error:
        return _complain(getattr(error, "problems", ()) or (str(error),), error.exit_code)
    except Exception as error:  # the process's edge: a user sees one line, the stack only when asked for
        logging.getLogger(__name__).info("the stack of this error", exc_info=error)
        return _complain([_own_fault(error)], LabdError.exit_code)
    return answer if isinstance(answer, int) else 0


def _complain(lines: Iterable[str], exit_code: int) -> int:
    for line in lines:
        print(f"labd: error: {' '.join(line.split())}", file=sys.stderr)
    return exit_code


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    text = error.format_message()  # type: ignore[attr-defined]  # every ClickException has it
    return f"{text.rstrip('.')} (see {context.command_path if context else 'labd'} --help)"


def _own_fault(error: Exception) -> str:
    """Where in labd it happened, in a line: enough for a report."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return f"a fault of labd's own, please report it: {type(error).__name__}: {error} at {where} (labd --verbose shows more)"
