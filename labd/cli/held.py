"""The same operation through the daemon that holds the bench, or that was named."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx

from labd import bench_file
from labd.bench_file.server import from_here
from labd.client.connection import Connection, NoDaemon, Target, answer, here, target
from labd.client.generated.api.bench import status
from labd.errors import FileError, LabdError

LOOK_S = 5.0  # for a daemon to say which bench it serves


def server_of(bench: bench_file.Bench, store: Path | None, named: str | None, ca: Path | None = None) -> Connection | None:
    """The daemon that serves this bench: the one that is named, else the store's, else where the bench file has it listen; or None.

    Raises LabdError for one that cannot be asked: it takes connections and hangs, or wants a token.
    """
    for where in _places(bench, store, named, ca):
        try:
            with Connection(where, within_s=LOOK_S) as daemon:
                if answer(status.sync_detailed(client=daemon.client)).bench == bench.name:
                    return Connection(where)
        except NoDaemon as error:
            if isinstance(error.__cause__, httpx.TimeoutException):
                raise
        except (ValueError, KeyError):  # something else listens there
            continue
    return None


def _places(bench: bench_file.Bench, store: Path | None, named: str | None, ca: Path | None) -> Iterator[Target]:
    with contextlib.suppress(NoDaemon):
        yield target(named, store, ca)
    section = bench.server
    if section.port:
        own = bench.path.parent / section.tls_certificate if section.tls_certificate else None
        url = from_here(f"{'https' if own else 'http'}://{section.host}:{section.port}")
        yield replace(target(url, None), own=own)


def holder(bench: Path, store: Path | None, busy: LabdError) -> Connection:
    """A connection to the daemon that serves this bench from this store. Raises `busy` where it is not a daemon that has the bench."""
    try:
        where = here(store)
        with Connection(where) as daemon:
            serves = answer(status.sync_detailed(client=daemon.client)).bench
    except NoDaemon as error:
        raise busy from error
    if serves != bench_file.load_bench(bench).name:
        raise busy
    return Connection(where)


def refuse_another_bench(daemon: Connection, bench: Path) -> None:
    """Raises FileError where the daemon that was named serves another bench than this one: nothing is switched on where nobody meant to."""
    serves, wanted = answer(status.sync_detailed(client=daemon.client)).bench, bench_file.load_bench(bench).name
    if serves != wanted:
        raise FileError("--bench", "", f"the daemon at {daemon.url} serves {serves!r}, and {bench} is {wanted!r}")
