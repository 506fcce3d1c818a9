"""The commands under test as an app of their own, with errors turned into a line and an exit code as `labd` does."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import pytest
import typer

from labd.errors import LabdError


@dataclass(frozen=True)
class Answer:
    """What a command printed and how it ended. error: the LabdError, empty for none."""

    code: int
    out: str
    err: str
    error: str = ""


class Commands:
    """Runs `module`'s command by its arguments."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *modules: ModuleType) -> None:
        self._app = typer.Typer(pretty_exceptions_enable=False)
        self._app.command("other", hidden=True)(lambda: None)  # two commands: so that the name is part of the line
        for module in modules:
            module.register(self._app)
        self._capsys = capsys

    def __call__(self, *argv: object) -> Answer:
        error, code = "", 0
        try:
            answer = self._app(args=[str(a) for a in argv], standalone_mode=False)
            code = answer if isinstance(answer, int) else 0
        except LabdError as raised:
            error, code = str(raised), raised.exit_code
        printed = self._capsys.readouterr()
        return Answer(code, printed.out, printed.err, error)
