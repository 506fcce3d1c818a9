"""A run as one file: it comes back as it was, and whatever is not such a file is refused and leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.errors import LabdError, StoreError, WrongState
from labd.records import Phase, Window
from labd.store import archive
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from labd.store.rows import NewRun
from tests.analyse.stored_run import copy_of_a_run

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """A store, the id of a run in it, and its archive."""
    store = tmp_path_factory.mktemp("store")
    run = copy_of_a_run(store)
    with Catalogue.open(store) as catalogue:
        catalogue.runs.annotate(run, notes="n", add_tags=["keep"])
    path = store / f"run{archive.SUFFIX}"
    archive.write(store, run, path)
    return store, run, path


def members(path: Path) -> Members:
    with zipfile.ZipFile(path) as found:
        return {name: found.read(name) for name in found.namelist()}


def zipped(path: Path, content: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, data in content.items():
            made.writestr(name, data)
    return path


def signed(content: Members, **said: object) -> Members:
    """With a manifest that fits: whoever forges an archive can compute checksums."""
    rest = {name: data for name, data in content.items() if name != archive.MANIFEST}
    manifest = json.loads(content[archive.MANIFEST]) | {"sha256": {n: hashlib.sha256(d).hexdigest() for n, d in rest.items()}} | said
    return rest | {archive.MANIFEST: json.dumps(manifest).encode()}


def left_behind(store: Path) -> list[str]:
    return sorted(str(path.relative_to(store)) for folder in ("traces", "transfer") for path in (store / folder).glob("*"))


def refused(path: Path, store: Path) -> str:
    """The reason. Nothing of the run is there afterwards."""
    with Catalogue.open(store), pytest.raises(StoreError) as failure:
        archive.read(path, store)
    with Catalogue.open_read_only(store) as catalogue:
        assert catalogue.runs.newest(limit=10) == []
    assert left_behind(store) == []
    return str(failure.value)


def test_a_run_comes_back_as_it_was(made: tuple[Path, str, Path], tmp_path: Path) -> None:
    store, run, path = made
    with Catalogue.open(tmp_path):
        assert archive.read(path, tmp_path) == run
    with Catalogue.open_read_only(store) as before, Catalogue.open_read_only(tmp_path) as after:
        assert after.runs.get(run) == before.runs.get(run)
        assert after.captures.of(run) == before.captures.of(run)
        assert after.kpis.of(run) == before.kpis.of(run)
        assert after.runs.events(run) == before.runs.events(run)
        for row in before.captures.of(run):
            assert after.captures.windows(run, row.key) == before.captures.windows(run, row.key)
    for file in (store / "traces" / run).iterdir():
        assert (tmp_path / "traces" / run / file.name).read_bytes() == file.read_bytes()


def test_a_run_that_is_there_already_is_refused_and_stays(made: tuple[Path, str, Path]) -> None:
    store, run, path = made
    before = left_behind(store)
    with pytest.raises(StoreError, match="already"):
        archive.read(path, store)
    assert left_behind(store) == before
    with Catalogue.open_read_only(store) as catalogue:
        assert catalogue.runs.get(run).notes == "n"


def test_a_run_that_goes_on_is_not_archived(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(NewRun("b", "", "p", ""), []).id
    with pytest.raises(WrongState, match="is going on"):
        archive.write(tmp_path, run, tmp_path / "run.zip")
    assert not (tmp_path / "run.zip").exists()


def test_what_there_is_no_room_for_is_refused_before_it_is_unpacked(made: tuple[Path, str, Path], tmp_path: Path) -> None:
    told: list[int] = []

    def none(size: int) -> None:
        told.append(size)
        raise StoreError("the disk is too small")

    with Catalogue.open(tmp_path), pytest.raises(StoreError, match="too small"):
        archive.read(made[2], tmp_path, room=none)
    assert told == [sum(map(len, members(made[2]).values()))]
    assert left_behind(tmp_path) == []


def with_row(content: Members, change: Callable[[dict[str, list[dict[str, object]]]], None]) -> Members:
    rows = json.loads(content[archive.ROWS])
    change(rows)
    return signed(content | {archive.ROWS: json.dumps(rows).encode()})


def trace_of(content: Members) -> str:
    return next(name for name in content if name.startswith("traces/"))


def dreaming(capture: Mapping[str, object]) -> dict[str, object]:
    """A window of a phase that is none."""
    window = Window(Phase.IDLE, 0.0, 1.0, 0.0, 0.0, stretch=0, event=0)
    row: dict[str, object] = to_json(window)
    return row | {"run_id": capture["run_id"], "capture": capture["key"], "n": 0, "phase": "dreaming"}


FORGED: dict[str, tuple[Callable[[Members], Members], str]] = {
    "a file that climbs out": (lambda c: signed(c | {"traces/../../evil": b"x"}), "no trace's name"),
    "an absolute file": (lambda c: signed(c | {"/etc/evil": b"x"}), "no trace's name"),
    "a file in a folder": (lambda c: signed(c | {"traces/a/b": b"x"}), "no trace's name"),
    "a file that is not listed": (lambda c: c | {"traces/more": b"x"}, "what its manifest lists"),
    "a file that is missing": (lambda c: {n: d for n, d in c.items() if n != trace_of(c)}, "what its manifest lists"),
    "a damaged trace": (lambda c: c | {trace_of(c): c[trace_of(c)][:-1] + b"?"}, "checksum differs"),
    "damaged rows": (lambda c: c | {archive.ROWS: c[archive.ROWS] + b" "}, "checksum differs"),
    "another format": (lambda c: signed(c, format=99), "format is 99"),
    "a run's id that climbs out": (lambda c: signed(c, run="../../evil"), "no run's id"),
    "the rows of another run": (lambda c: signed(c, run="20200101-000000-other-ab12"), "not all of run"),
    "a trace outside its run": (
        lambda c: with_row(c, lambda r: r["captures"][0].update(trace="traces/../catalogue.sqlite")),
        "outside its run",
    ),
    "a run that is going on": (lambda c: with_row(c, lambda r: r["runs"][0].update(state="running")), "is going on"),
    "a run in a state of the future": (lambda c: with_row(c, lambda r: r["runs"][0].update(state="banana")), "none that this labd reads"),
    "cards that are no JSON": (lambda c: with_row(c, lambda r: r["runs"][0].update(cards="{")), "none that this labd reads: cards of run"),
    "cards that are a list": (lambda c: with_row(c, lambda r: r["runs"][0].update(cards="[]")), "none that this labd reads"),
    "JSON without an end to its depth": (
        lambda c: with_row(c, lambda r: r["runs"][0].update(cards="[" * 100_000)),
        "none that this labd reads",
    ),
    "a capture's flags that are no JSON": (lambda c: with_row(c, lambda r: r["captures"][0].update(flags="?")), "flags of capture"),
    "a figure whose budget is no JSON": (lambda c: with_row(c, lambda r: r["kpis"][0].update(budget="")), "budget of figure"),
    "a figure that is not finite": (lambda c: with_row(c, lambda r: r["kpis"][0].update(value=float("inf"))), "not finite"),
    "a window in a phase of the future": (lambda c: with_row(c, lambda r: r["windows"].append(dreaming(r["captures"][0]))), "dreaming"),
    "an integer that SQLite has no room for": (lambda c: with_row(c, lambda r: r["runs"][0].update(created_ns=2**80)), "too large"),
    "a column of the future": (lambda c: with_row(c, lambda r: r["kpis"][0].update(colour="red")), "does not know: colour"),
    "SQL for a column": (lambda c: with_row(c, lambda r: r["kpis"][0].update({'x") VALUES (1); --': 1})), "does not know"),
    "no manifest": (lambda c: {n: d for n, d in c.items() if n != archive.MANIFEST}, "no archive of a run"),
    "a manifest that is a list": (lambda c: c | {archive.MANIFEST: b"[]"}, "no archive of a run"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_archive_is_refused(made: tuple[Path, str, Path], tmp_path: Path, what: str) -> None:
    forge, reason = FORGED[what]
    path = zipped(tmp_path / "forged.zip", forge(members(made[2])))
    assert reason in refused(path, tmp_path / "store")
    assert not (tmp_path.parent / "evil").exists()


def test_a_link_in_an_archive_becomes_no_link(made: tuple[Path, str, Path], tmp_path: Path) -> None:
    content = members(made[2])
    name = trace_of(content)
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as forged:
        for member, data in signed(content | {name: b"/etc/passwd"}).items():
            info = zipfile.ZipInfo(member)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16 if member == name else 0
            forged.writestr(info, data)
    with Catalogue.open(tmp_path / "store"):
        run = archive.read(tmp_path / "link.zip", tmp_path / "store")
    assert not any(path.is_symlink() for path in (tmp_path / "store" / "traces" / run).iterdir())


def test_a_bomb_that_says_it_is_small_ends_where_it_says(made: tuple[Path, str, Path], tmp_path: Path) -> None:
    """A member whose directory entry lies about its size."""
    content = members(made[2])
    name = trace_of(content)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as forged:
        for member, data in signed(content | {name: b"\0" * 10_000_000}).items():
            forged.writestr(member, data)
    size, lie = (10_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    data = path.read_bytes()
    assert data.count(size) >= 2
    path.write_bytes(data.replace(size, lie))
    assert refused(path, tmp_path / "store")


@settings(max_examples=30, deadline=None)
@given(cut=st.floats(0.0, 1.0, exclude_max=True), flip=st.integers(0, 255))
def test_a_file_cut_or_changed_anywhere_is_refused_or_whole(made: tuple[Path, str, Path], cut: float, flip: int) -> None:
    store = made[0].with_name(f"{made[0].name}-changed")
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir()
    data = bytearray(made[2].read_bytes())
    at = int(cut * len(data))
    if flip:
        data[at] ^= flip
    else:
        del data[at:]
    (store / "changed.zip").write_bytes(data)
    with Catalogue.open(store):
        try:
            run = archive.read(store / "changed.zip", store)
        except LabdError:
            assert left_behind(store) == []
            return
    for file in (made[0] / "traces" / run).iterdir():
        assert (store / "traces" / run / file.name).read_bytes() == file.read_bytes()
