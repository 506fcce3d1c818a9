"""The same operation through the daemon that holds the bench, or that was named."""

from __future__ import annotations

from pathlib import Path

from labd import bench_file
from labd.client.connection import Connection, NoDaemon, answer, here
from labd.client.generated.api.bench import status
from labd.errors import FileError, LabdError


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
