"""Which daemon a command talks to, and by which certificate: `labd --bench HOST:PORT --ca FILE ...`, or the one that serves the store."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from labd.client.connection import BENCH_ENV, Connection, target


def connected(context: typer.Context, store: Path | None = None) -> Connection:
    """Raises NoDaemon."""
    return Connection(target(context.find_root().obj, store, _ca(context)))


def named(context: typer.Context) -> Connection | None:
    """The daemon that was named, for commands that read a store of this machine where none was."""
    bench = context.find_root().obj or os.environ.get(BENCH_ENV, "")
    return Connection(target(bench, None, _ca(context))) if bench else None


def _ca(context: typer.Context) -> Path | None:
    found: Path | None = context.find_root().params.get("ca")
    return found
