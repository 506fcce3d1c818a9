"""A run as one file: a zip of its rows, its traces and their checksums, written whole and taken in whole or not at all."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from labd.errors import LabdError, StoreError, WrongState
from labd.host import sync_folder
from labd.store.catalogue import Catalogue
from labd.store.database import Database, open_database, open_database_read_only
from labd.store.folder import CATALOGUE
from labd.store.jsonform import dump
from labd.store.rows import RunState

SUFFIX = ".labd.zip"
TRANSFER = "transfer"  # folder of the store for archives on their way in or out; what stays there is cleared by its age
FORMAT = 1
ROWS, MANIFEST = "run.json", "manifest.json"
TABLES = ("runs", "run_tags", "captures", "marks", "windows", "kpis", "events")  # in the order in which they refer to each other
KEYS = {"runs": "id"}
MEMBER = re.compile(r"traces/[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
RUN_ID = re.compile(r"[a-z0-9-]{1,80}")
CHUNK = 1 << 20
MOST_BYTES = 1 << 40
MOST_ROWS_BYTES = 1 << 30
# What a file that labd did not write may raise on its way in: zipfile's own errors (RuntimeError: encrypted, or of another version), its
# codecs', JSON's (RecursionError is a RuntimeError), and OverflowError for an integer that SQLite has no room for.
FOREIGN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, KeyError, TypeError, ValueError, OverflowError)


def write(store: Path, run_id: str, path: Path) -> None:
    """Raises NotFound, WrongState for a run that goes on, StoreError; a file half written is removed."""
    with Catalogue.open_read_only(store) as catalogue:
        run = catalogue.runs.get(run_id)
    if run.state is RunState.RUNNING:
        raise WrongState(f"run {run.id} is going on; it can be exported when it has ended")
    database = open_database_read_only(store / CATALOGUE)
    try:
        rows = _rows(database, run.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:  # Parquet is compressed already
            checksums = dict(_members(archive, store, run.id, rows))
            archive.writestr(MANIFEST, json.dumps({"format": FORMAT, "run": run.id, "sha256": checksums}))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        database.close()


def read(path: Path, store: Path, *, room: Callable[[int], None] | None = None) -> str:
    """Take a run into a store; returns its id. Raises StoreError naming what is wrong: nothing of the run is there then.

    room: told how many bytes will be unpacked; raises where there is no room for them.
    """
    aside = store / TRANSFER / f"import-{secrets.token_hex(4)}"
    try:
        with zipfile.ZipFile(path) as archive:
            run_id, checksums = _manifest(archive)
            _refuse_known(store, run_id)
            rows = _checked_rows(archive, checksums, run_id)
            if room is not None:
                room(sum(info.file_size for info in archive.infolist()))
            aside.mkdir(parents=True)
            for name in checksums:
                if name != ROWS:
                    _extract(archive, name, checksums[name], aside)
        _take_in(store, run_id, rows, aside)
    except FOREIGN as error:
        raise StoreError(f"this is no archive of a run that labd wrote: {error}") from error
    except OSError as error:
        raise StoreError(f"the archive cannot be taken in: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return run_id


def _rows(database: Database, run_id: str) -> dict[str, list[dict[str, Any]]]:
    return {
        table: [dict(row) for row in database.query(f"SELECT * FROM {table} WHERE {KEYS.get(table, 'run_id')} = ?", (run_id,))]
        for table in TABLES
    }


def _members(archive: zipfile.ZipFile, store: Path, run_id: str, rows: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    text = json.dumps(rows).encode()
    archive.writestr(ROWS, text)
    yield ROWS, hashlib.sha256(text).hexdigest()
    folder = store / "traces" / run_id
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        name = f"traces/{file.name}"
        digest = hashlib.sha256()
        with file.open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
            _copy(source, target, digest, MOST_BYTES)
        yield name, digest.hexdigest()


def _manifest(archive: zipfile.ZipFile) -> tuple[str, dict[str, str]]:
    """The run's id, and the checksum of every member; names, number and sizes are what they may be."""
    names = archive.namelist()
    said = json.loads(_text(archive, MANIFEST))
    if said["format"] != FORMAT:
        raise StoreError(f"the archive's format is {said['format']!r}, this labd reads {FORMAT}; use the labd that wrote it")
    run_id, checksums = str(said["run"]), dict(said["sha256"])
    if not RUN_ID.fullmatch(run_id):
        raise StoreError(f"the archive names a run {run_id[:80]!r}, which is no run's id")
    if sorted(names) != sorted([MANIFEST, *checksums]) or len(set(names)) != len(names):
        raise StoreError("the archive does not hold what its manifest lists")
    for name in checksums:
        if name != ROWS and not MEMBER.fullmatch(name):
            raise StoreError(f"the archive holds {name[:80]!r}, which is no trace's name")
    if sum(info.file_size for info in archive.infolist()) > MOST_BYTES:
        raise StoreError("the archive says that it holds more than a terabyte")
    return run_id, checksums


def _text(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MOST_ROWS_BYTES:
        raise StoreError(f"{name} in the archive is too large")
    with archive.open(name) as file:
        return file.read(MOST_ROWS_BYTES)


def _refuse_known(store: Path, run_id: str) -> None:
    with Catalogue.open(store) as catalogue:
        if run_id in catalogue.runs.ids() or (store / "traces" / run_id).exists():
            raise StoreError(f"run {run_id} is in this store already")


def _checked_rows(archive: zipfile.ZipFile, checksums: Mapping[str, str], run_id: str) -> dict[str, list[dict[str, Any]]]:
    text = _text(archive, ROWS)
    if hashlib.sha256(text).hexdigest() != checksums[ROWS]:
        raise StoreError(f"{ROWS} in the archive is damaged: its checksum differs")
    rows: dict[str, list[dict[str, Any]]] = json.loads(text)
    if set(rows) != set(TABLES) or len(rows["runs"]) != 1:
        raise StoreError("the archive's rows are not those of one run")
    for table in TABLES:
        if any(row[KEYS.get(table, "run_id")] != run_id for row in rows[table]):
            raise StoreError(f"the archive's {table} are not all of run {run_id}")
    for row in rows["captures"]:
        parent, _, name = str(row["trace"]).rpartition("/")
        if row["trace"] and (parent != f"traces/{run_id}" or not MEMBER.fullmatch(f"traces/{name}")):
            raise StoreError(f"capture {row['key']!r} names a trace {row['trace'][:80]!r} outside its run")
    return rows


def _extract(archive: zipfile.ZipFile, name: str, checksum: str, aside: Path) -> None:
    digest = hashlib.sha256()
    with archive.open(name) as source, (aside / name.partition("/")[2]).open("xb") as target:
        _copy(source, target, digest, archive.getinfo(name).file_size)
    if digest.hexdigest() != checksum:
        raise StoreError(f"{name} in the archive is damaged: its checksum differs")


def _copy(source: IO[bytes], target: IO[bytes], digest: Any, most: int) -> None:
    """Raises StoreError when there is more than was said."""
    copied = 0
    while data := source.read(CHUNK):
        copied += len(data)
        if copied > most:
            raise StoreError("a file in the archive is larger than it says")
        digest.update(data)
        target.write(data)


def _take_in(store: Path, run_id: str, rows: Mapping[str, list[dict[str, Any]]], aside: Path) -> None:
    """Traces first: rows without traces would lie, a folder without rows is swept."""
    database = open_database(store / CATALOGUE)
    folder = store / "traces" / run_id
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside.rename(folder)
        sync_folder(folder.parent)
        try:
            with database.transaction():
                for table in TABLES:
                    _insert(database, table, rows[table])
                _refuse_unreadable(Catalogue(store, database), run_id)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    finally:
        database.close()


def _refuse_unreadable(catalogue: Catalogue, run_id: str) -> None:
    """Whatever will be asked of the run is asked once while it can still be refused: a row that cannot be read, or not be said as JSON,
    would fail every list of runs from now on, and one that is running could never be deleted."""
    try:
        run = catalogue.runs.get(run_id)
        captures = catalogue.captures.of(run_id)
        marked = [(catalogue.captures.marks(run_id, row.key), catalogue.captures.windows(run_id, row.key)) for row in captures]
        dump([run, catalogue.runs.summary(run_id), captures, marked, catalogue.kpis.of(run_id), catalogue.runs.events(run_id)])
    except (LabdError, *FOREIGN) as error:
        raise StoreError(f"the archive's rows are none that this labd reads: {error}") from error
    if run.state is RunState.RUNNING:
        raise StoreError(f"the archive says that run {run_id} is going on; labd archives runs that have ended")


def _insert(database: Database, table: str, rows: list[dict[str, Any]]) -> None:
    known = {str(row["name"]) for row in database.query(f"SELECT name FROM pragma_table_info('{table}')")}
    for row in rows:
        if unknown := set(row) - known:
            raise StoreError(f"the archive's {table} have columns that this labd does not know: {', '.join(sorted(unknown))[:200]}")
        values = {name: value for name, value in row.items() if not (table == "events" and name == "id")}
        marks = ", ".join("?" * len(values))
        columns = ", ".join(f'"{name}"' for name in values)
        database.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values()))
