"""The same operation through the daemon that holds the bench, where one does."""

from __future__ import annotations

from pathlib import Path

from labd import bench_file
from labd.client.connection import Connection, NoDaemon, answer, here
from labd.client.generated.api.bench import status
from labd.errors import LabdError


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
