"""The same operation through the daemon that holds the bench, where one does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx

from labd import bench_file
from labd.client.connection import Connection, NoDaemon, Target, answer, target
from labd.client.generated.api.bench import status
from labd.errors import LabdError

LOOK_S = 5.0  # for a daemon to say which bench it serves


def server_of(bench: bench_file.Bench, store: Path | None, named: str | None) -> Connection | None:
    """The daemon that serves this bench: the one that is named, else the store's, else where the bench file has it listen; or None.

    Raises LabdError for one that cannot be asked: it takes connections and hangs, or wants a token.
    """
    for where in _places(bench, store, named):
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


def _places(bench: bench_file.Bench, store: Path | None, named: str | None) -> Iterator[Target]:
    with contextlib.suppress(NoDaemon):
        yield target(named, store)
    section = bench.server
    if section.port:
        scheme = "https" if section.tls_certificate else "http"
        yield target(f"{scheme}://{section.host}:{section.port}", None)


def holder(bench: Path, store: Path | None, busy: LabdError) -> Connection:
    """A connection to the daemon that serves this bench from this store. Raises `busy` where it is not a daemon that has the bench."""
    try:
        where = target(None, store)
        with Connection(where) as daemon:
            serves = answer(status.sync_detailed(client=daemon.client)).bench
    except NoDaemon as error:
        raise busy from error
    if serves != bench_file.load_bench(bench).name:
        raise busy
    return Connection(where)
