"""Which daemon a command talks to: `labd --bench HOST:PORT ...`, LABD_BENCH, or the one that serves the store."""

from __future__ import annotations

from pathlib import Path

import typer

from labd.client.connection import Connection, target


def remember(context: typer.Context, bench: str | None) -> None:
    """What was given before the command's name."""
    context.obj = bench


def connected(context: typer.Context, store: Path | None = None) -> Connection:
    """Raises NoDaemon."""
    return Connection(target(context.find_root().obj, store))
