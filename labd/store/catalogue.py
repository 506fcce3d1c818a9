"""The catalogue of a store: one object through which everything but the samples is written and read."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from labd.store.captures import Captures
from labd.store.database import Database, open_database, open_database_read_only
from labd.store.folder import CATALOGUE, default_folder
from labd.store.jobs import Jobs
from labd.store.kpis import Kpis
from labd.store.leases import Leases
from labd.store.rows import CaptureRow
from labd.store.runs import Runs


class Catalogue:
    """A context manager, used from the one thread that opened it. Every method raises StoreError or NotFound, nothing else of SQLite."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.runs = Runs(database)
        self.captures = Captures(database)
        self.kpis = Kpis(database)
        self.jobs = Jobs(database)
        self.leases = Leases(database)
        self._database = database

    @classmethod
    def open(cls, folder: Path | None = None) -> Catalogue:
        """For writing; made and migrated as needed. folder None is the user's data folder."""
        where = default_folder() if folder is None else folder
        return cls(where, open_database(where / CATALOGUE))

    @classmethod
    def open_read_only(cls, folder: Path | None = None) -> Catalogue:
        """For commands that only read; changes nothing on disk, works beside a writer. Raises NotFound where there is no catalogue."""
        where = default_folder() if folder is None else folder
        return cls(where, open_database_read_only(where / CATALOGUE))

    def transaction(self) -> AbstractContextManager[None]:
        """What is written inside is written whole, or not at all."""
        return self._database.transaction()

    def trace_path(self, capture: CaptureRow) -> Path:
        """Where the trace of a begun capture is or will be, for TraceWriter and read_trace."""
        return self.folder / capture.trace

    def check(self) -> list[str]:
        """What SQLite finds wrong with its file; empty for a sound one. Takes a second for each GB or so."""
        found = [str(row[0]) for row in self._database.query("PRAGMA quick_check")]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
