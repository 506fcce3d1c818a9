"""The reference page of the command line, made from its commands: `python -m labd.cli.reference` writes it again."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

from labd.cli.commands import MODULES, registered

PAGE = Path("docs/reference/cli.md")
_INTRO = """# The command line

Every command ends with a code that says how it went: [exit codes](exit-codes.md). `labd --help` and `labd COMMAND --help` print what
stands here. `labd --verbose COMMAND ...` also tells what labd notices on its way.

This page is made from the commands in `labd/cli` by `python -m labd.cli.reference`."""


def page() -> str:
    """The page as Markdown, one section a command, in the order of `labd --help`."""
    return "\n\n".join([_INTRO, *(_section(name, function) for name, function in commands())]) + "\n"


def commands() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Name and function of each command; those of a group with its name before theirs."""
    app = registered(*MODULES)
    yield from _of(app, "")
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from _of(group.typer_instance, f"{group.name} ")


def _of(group: typer.Typer, prefix: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    for info in group.registered_commands:
        assert info.name is not None
        assert info.callback is not None
        yield prefix + info.name, info.callback


def parameters(function: Callable[..., Any]) -> Iterator[tuple[str, object, ArgumentInfo | OptionInfo, object]]:
    """Name, type, typer's description and default of each parameter."""
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        if hints[name] is typer.Context:
            continue
        kind, *notes = get_args(hints[name])
        (info,) = (note for note in notes if isinstance(note, ArgumentInfo | OptionInfo))
        yield name, kind, info, parameter.default


def _section(name: str, function: Callable[..., Any]) -> str:
    rows = [_row(*parameter) for parameter in parameters(function)]
    table = ["| | default | |", "|---|---|---|", *rows] if rows else []
    line = " ".join(["labd", name, *_usage(function)])
    return "\n\n".join(part for part in (f"## `{line}`", inspect.cleandoc(function.__doc__ or ""), "\n".join(table)) if part)


def _usage(function: Callable[..., Any]) -> Iterator[str]:
    for name, _, info, default in parameters(function):
        if isinstance(info, ArgumentInfo):
            yield name.upper() if default is inspect.Parameter.empty else f"[{name.upper()}]"


def _row(name: str, kind: object, info: ArgumentInfo | OptionInfo, default: object) -> str:
    if isinstance(info, ArgumentInfo):
        called = f"`{name.upper()}`"
    else:
        called = ", ".join(f"`{word}`" for word in _spellings(name, info)) + _value(kind)
    also = f" Also `{info.envvar}` in the environment." if info.envvar else ""
    return f"| {called} | {_default(default)} | {info.help or ''}{also} |"


def _spellings(name: str, info: OptionInfo) -> tuple[str, ...]:
    """What an option is called. In an Annotated, typer takes the first spelling for the default and sorts that out later."""
    first = (info.default,) if isinstance(info.default, str) and info.default.startswith("-") else ()
    return (*first, *(info.param_decls or ())) or (f"--{name.replace('_', '-')}",)


def _value(kind: object) -> str:
    """What stands behind an option's name."""
    while get_origin(kind) in (Union, UnionType, list):
        kind = next(k for k in get_args(kind) if k is not type(None))
    if kind is bool:
        return ""
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " " + " or ".join(f"`{member.value}`" for member in kind)
    return {Path: " PATH", str: " TEXT", int: " NUMBER", float: " NUMBER", datetime: " TIME"}[kind]  # type: ignore[index]


def _default(default: object) -> str:
    if default is inspect.Parameter.empty:
        return "required"
    if isinstance(default, list | tuple):
        return ", ".join(_default(item) for item in default) or "-"
    if default is None or default is False:
        return "-"
    return f"`{default.value if isinstance(default, enum.Enum) else default}`"


if __name__ == "__main__":
    (Path(__file__).parents[2] / PAGE).write_text(page(), encoding="utf-8")
    typer.echo(PAGE)
