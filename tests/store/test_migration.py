"""Schema migration: a version-1 catalogue opens with everything in it, a newer one is refused."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from labd.errors import StoreError
from labd.records import Mode, Phase
from labd.store import schema
from labd.store.catalogue import Catalogue

# As the first release wrote it. Never edit: it stands for the files on people's disks.
VERSION_1_SQL = (Path(__file__).parent / "catalogue-version-1.sql").read_text()


def _version_1(folder: Path) -> Path:
    path = folder / "catalogue.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1_SQL)
    connection.close()
    return path


def _shape(path: Path) -> list[tuple[str, ...]]:
    """Every table's columns, so that a migrated and a new catalogue can be compared whatever the text of their statements."""
    connection = sqlite3.connect(path)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'index') ORDER BY name")]
    shape = [(table, *map(str, column)) for table in tables for column in connection.execute(f"SELECT * FROM pragma_table_info('{table}')")]
    connection.close()
    return shape


def test_a_version_1_catalogue_opens_with_all_it_holds(tmp_path: Path) -> None:
    _version_1(tmp_path)
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.get("20260601-080000-demo-0a1b")
        assert (run.notes, run.tags, run.plan_name) == ("", (), "rate sweep")
        assert run.bench_effective == {"mains": 50.0}
        (capture,) = catalogue.captures.of(run.id)
        assert capture.point.mode is Mode.ALWAYS_ON
        assert catalogue.captures.windows(run.id, capture.key)[0].phase is Phase.INFER
        assert catalogue.kpis.of(run.id)[0].value == 1.25e-4
        assert catalogue.runs.events(run.id)[0].kind == "supply"
        catalogue.runs.annotate(run.id, notes="first board", add_tags=("paper",))
        assert catalogue.runs.get(run.id).tags == ("paper",)


def test_a_migrated_catalogue_has_the_shape_of_a_new_one(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old = _version_1(tmp_path / "old")
    for name in ("old", "new"):
        Catalogue.open(tmp_path / name).close()
    assert _shape(old) == _shape(tmp_path / "new" / "catalogue.sqlite")
    assert ("run_tags", "0", "run_id", "TEXT", "1", "None", "1") in _shape(old)


def test_reading_an_old_catalogue_leaves_it_as_it_is(tmp_path: Path) -> None:
    path = _version_1(tmp_path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with Catalogue.open_read_only(tmp_path) as catalogue:
        assert catalogue.runs.get("latest").notes == ""
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_a_failing_step_leaves_the_version_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _version_1(tmp_path)
    monkeypatch.setattr(schema, "STEPS", (schema.VERSION_1, ("CREATE TABLE half (x)", "CREATE TABLE nonsense (")))
    with pytest.raises(StoreError, match="incomplete input"):
        Catalogue.open(tmp_path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone() == (0,)
    connection.close()


def test_a_newer_schema_is_refused_by_writers_and_readers(tmp_path: Path) -> None:
    Catalogue.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "catalogue.sqlite")
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    for opening in (Catalogue.open, Catalogue.open_read_only):
        with pytest.raises(StoreError, match=rf"version {schema.VERSION + 1}, this labd knows versions up to {schema.VERSION}"):
            opening(tmp_path)
