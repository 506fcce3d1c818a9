"""The SQLite file under the catalogue: opening, migration, transactions, errors by name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from labd.errors import NotFound, StoreError
from labd.store import schema

BUSY_MS = 10_000


class Database:
    """One connection, used from the thread that opened it (sqlite3 refuses any other)."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        connection.row_factory = sqlite3.Row

    def close(self) -> None:
        self._connection.close()

    def query(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._named():
            rows: list[sqlite3.Row] = self._connection.execute(sql, values).fetchall()
            return rows

    def execute(self, sql: str, values: Sequence[object] = ()) -> int:
        """Returns how many rows changed."""
        with self._named():
            return self._connection.execute(sql, values).rowcount

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        with self._named():
            self._connection.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; one inside another is part of it. IMMEDIATE: a second writer waits here instead of failing in the middle."""
        if self._connection.in_transaction:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # SQLite ends some by itself, for example on a full disk
            self.execute("ROLLBACK")

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error


def open_database(path: Path) -> Database:
    """Open for writing, making and migrating it as needed. Raises StoreError for a schema newer than this labd knows."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: cannot be opened for writing: {error}") from error
    database = Database(path, connection)
    try:
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has no effect once the file is in WAL mode
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # NORMAL may lose the last commits when power fails
        database.execute("PRAGMA foreign_keys = ON")
        migrate(database)
    except BaseException:
        connection.close()
        raise
    return database


def open_database_read_only(path: Path) -> Database:
    """Open for reading; the file is never changed. An older schema is migrated in a copy in memory."""
    if not path.exists():
        raise NotFound(f"{path}: there is no catalogue; `labd run` makes one")
    database = Database(path, _connect_read_only(path))
    try:
        version = _version(database)
        _refuse_newer(database, version)
        if version < schema.VERSION:
            database = _migrated_copy(database)
    except BaseException:
        database.close()
        raise
    return database


def migrate(database: Database) -> None:
    """Bring the schema to the newest version, each step in one transaction with its version number."""
    _refuse_newer(database, _version(database))
    for number, step in enumerate(schema.STEPS, start=1):
        if _version(database) >= number:
            continue
        with database.transaction():
            if _version(database) >= number:  # another process was faster
                continue
            for statement in step:
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {number}")


def _version(database: Database) -> int:
    return int(database.query("PRAGMA user_version")[0][0])


def _refuse_newer(database: Database, version: int) -> None:
    if version > schema.VERSION:
        raise StoreError(
            f"{database.path}: its schema is version {version}, this labd knows versions up to {schema.VERSION}; "
            "use the newer labd that wrote it"
        )


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """Where WAL's side files cannot be made (a read-only medium) the file is opened as immutable."""
    error: sqlite3.Error | None = None
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        try:
            return _readable(f"{path.resolve().as_uri()}?{mode}")
        except sqlite3.Error as failed:
            error = failed
        if path.with_name(f"{path.name}-wal").exists():
            break  # immutable would overlook what is in the log
    raise StoreError(f"{path}: cannot be read as a catalogue: {error}") from error


def _readable(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _migrated_copy(database: Database) -> Database:
    memory = sqlite3.connect(":memory:", isolation_level=None)
    try:
        database._connection.backup(memory)
    finally:
        database.close()
    copy = Database(database.path, memory)
    migrate(copy)
    return copy
