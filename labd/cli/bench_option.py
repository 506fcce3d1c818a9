"""Which daemon a command talks to, and by which certificate: `labd --bench HOST:PORT --ca FILE ...`, or the one that serves the store."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from labd.client.connection import ANSWER_S, BENCH_ENV, Connection, target


def connected(context: typer.Context, store: Path | None = None) -> Connection:
    """Raises NoDaemon."""
    return Connection(target(context.find_root().obj, store, _ca(context)))


def named(context: typer.Context, *, within_s: float | None = ANSWER_S) -> Connection | None:
    """The daemon that was named, for commands that read a store of this machine where none was. within_s: see `Connection`."""
    bench = context.find_root().obj or os.environ.get(BENCH_ENV, "")
    return Connection(target(bench, None, _ca(context)), within_s=within_s) if bench else None


def _ca(context: typer.Context) -> Path | None:
    found: Path | None = context.find_root().params.get("ca")
    return found
