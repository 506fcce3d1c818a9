"""Which module of `labd.cli` has which commands; one is loaded when its command is called, so that an emergency stop waits for no other."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

MODULES = {
    "demo": ("demo",),
    "init": ("init",),
    "discover": ("discover",),
    "check": ("check",),
    "record": ("record",),
    "run": ("run",),
    "accuracy": ("accuracy",),
    "search": ("search",),
    "runs": ("runs",),
    "show": ("show",),
    "report": ("report",),
    "export": ("export",),
    "analyse": ("analyse",),
    "compare": ("compare",),
    "replay": ("replay",),
    "archive": ("archive", "annotate", "delete"),
    "imports": ("import", "imported"),
    "cards": ("cards",),
    "tables": ("tables",),
    "chart": ("chart",),
    "scan": ("scan",),
    "drivers": ("drivers",),
    "kpis": ("kpis",),
    "model": ("model",),
    "serve": ("serve",),
    "submit": ("submit", "edit"),
    "queue": ("queue", "move", "cancel", "pause", "resume", "abort"),
    "watch": ("watch",),
    "lease": ("lease",),
    "status": ("status",),
    "doctor": ("doctor",),
    "token": ("token",),
    "agent": ("agent",),
    "flash": ("flash",),
    "units": ("units", "guard", "udev"),
    "bench": ("bench",),
    "grafana": ("grafana",),
}


def registered(*modules: str) -> typer.Typer:
    """An app of what these modules register."""
    app = typer.Typer()
    app.callback()(lambda: None)  # also one command stays a command of a group, called by its name
    for module in modules:
        import_module(f"labd.cli.{module}").register(app)
    return app


class Commands(TyperGroup):
    """All commands of labd, in the order of `--help`, which loads every one of them."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._module = {name: module for module, names in MODULES.items() for name in names}
        self.commands: dict[str, Any] = dict.fromkeys(self._module)  # their names; None until one is asked for

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self._module and self.commands[cmd_name] is None:
            self.commands |= get_group(registered(self._module[cmd_name])).commands
        return self.commands.get(cmd_name)
