"""The same operation through the daemon that holds the bench, where one does."""

from __future__ import annotations

from pathlib import Path

from labd import bench_file
from labd.client.connection import Connection, NoDaemon, target
from labd.errors import LabdError


def holder(bench: Path, store: Path | None, busy: LabdError) -> Connection:
    """A connection to the daemon that serves this bench from this store. Raises `busy` where it is not a daemon that has the bench."""
    try:
        daemon = Connection(target(None, store))
        if daemon.get("status")["bench"] == bench_file.load_bench(bench).name:
            return daemon
    except NoDaemon as error:
        raise busy from error
    daemon.__exit__()
    raise busy
