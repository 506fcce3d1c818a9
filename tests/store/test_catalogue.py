"""The catalogue: what goes in comes out, states move forward only, read-only means it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from labd.errors import NotFound, StoreError
from labd.records import (
    BudgetLine,
    CaptureState,
    Event,
    KpiRecord,
    Mark,
    Mode,
    OperatingPoint,
    Phase,
    Provenance,
    Role,
    Window,
)
from labd.store.catalogue import Catalogue
from labd.store.database import Database, open_database
from labd.store.folder import CATALOGUE
from labd.store.jsonform import from_json, to_json
from labd.store.rows import CaptureRow, NewRun, PlannedCapture, RunRow, RunState, new_run_id
from labd.store.runs import Runs
from labd_instruments.contract import Acquisition

POINT = OperatingPoint(Mode.EVENT_SLEEP, 5.0, 3.0, "dnn", {"state": "deep"})
NEW = NewRun(
    bench_name="Demo bench",
    bench_text='name = "Demo bench"\n',
    plan_name="sweep",
    plan_text="rates = [0]\n",
    bench_effective={"limits": {"voltage": 3.6}},
    seeds={"order": 1},
    versions={"labd": "0.1.0"},
    instruments={"smu": {"model": "N6705C"}},
    firmware_sha256="ab" * 32,
)
NOW_NS = 1_795_444_200_000_000_000  # 2026-11-23 14:30:00 UTC


def _planned(*keys: str) -> list[PlannedCapture]:
    return [PlannedCapture(key, Role.MEAN, POINT, order, plan={"events": 24}) for order, key in enumerate(keys)]


def _kpi(value: float = 0.1 + 0.2) -> KpiRecord:
    line = BudgetLine("smu.gain", -1.25e-7, "B", "rectangular")
    return KpiRecord(
        "energy_per_inference.gross",
        POINT.key,
        value,
        "J",
        1e-300,
        None,
        2.0,
        100,
        Provenance.MEASURED,
        "guard_band",
        captures=("a", "b"),
        budget=(line, BudgetLine("noise", 1e-9, "A", "t", 12.5)),
        flags=("cold",),
        note="µ",
    )


def test_a_run_id_is_readable_and_sorts_by_time() -> None:
    first, second = new_run_id("Demo bench!", NOW_NS), new_run_id("Demo bench!", NOW_NS + 1_000_000_000)
    assert first.startswith("20261123-143000-demo-bench-")
    assert len(first.rsplit("-", 1)[1]) == 4
    assert first < second


def test_a_run_reads_back_as_it_was_stored_with_its_whole_expansion(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(NEW, _planned("a", "b"), now_ns=NOW_NS)
        captures = catalogue.captures.of(run.id)
    assert run.state is RunState.RUNNING
    assert run.bench_text == NEW.bench_text
    assert run.bench_effective == {"limits": {"voltage": 3.6}}
    assert len(run.bench_sha256) == 64
    assert run.instruments == {"smu": {"model": "N6705C"}}
    assert [c.key for c in captures] == ["a", "b"]
    assert captures[1].point == POINT
    assert captures[1].plan == {"events": 24}
    assert captures[1].state is CaptureState.PLANNED


def test_a_key_used_twice_stores_nothing_at_all(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        with pytest.raises(StoreError, match="UNIQUE"):
            catalogue.runs.create(NEW, _planned("a", "a"))
        assert catalogue.runs.newest() == []


def test_rows_go_to_json_and_back(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(NEW, _planned("a"))
        capture = catalogue.captures.get(run.id, "a")
    assert from_json(RunRow, to_json(run)) == run
    assert from_json(CaptureRow, to_json(capture)) == capture


def test_a_capture_goes_planned_recording_finished(tmp_path: Path) -> None:
    acquisition = Acquisition(20_000, ("current", "voltage"), 20e-6, 0.1, 20.0, settings={"filter": "off"})
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(NEW, _planned("a"))
        begun = catalogue.captures.begin(run.id, "a", acquisition)
        assert begun.state is CaptureState.RECORDING
        assert from_json(Acquisition, begun.acquisition) == acquisition
        assert catalogue.trace_path(begun) == tmp_path / "traces" / run.id / "0000-mean.parquet"
        catalogue.captures.learn(run.id, "a", acquisition={"records": 1000})
        catalogue.captures.finish(run.id, "a", samples=1000, stretches=2, flags=("gap", "clipped", "gap"))
        done = catalogue.captures.get(run.id, "a")
    assert (done.state, done.samples, done.stretches, done.flags) == (CaptureState.FINISHED, 1000, 2, ("clipped", "gap"))
    assert done.acquisition == {"records": 1000}
    assert done.started_ns is not None
    assert done.ended_ns is not None


@pytest.mark.parametrize("moves", [["finish"], ["begin", "begin"], ["begin", "finish", "fail"], ["fail", "begin"]])
def test_a_capture_never_moves_backwards(tmp_path: Path, moves: list[str]) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(NEW, _planned("a"))
        do: dict[str, Callable[[], object]] = {
            "begin": lambda: catalogue.captures.begin(run.id, "a"),
            "finish": lambda: catalogue.captures.finish(run.id, "a", samples=1, stretches=1),
            "fail": lambda: catalogue.captures.fail(run.id, "a", "x"),
        }
        for move in moves[:-1]:
            do[move]()
        with pytest.raises(StoreError, match="cannot become"):
            do[moves[-1]]()


def test_ending_a_run_interrupts_what_was_recording(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(NEW, _planned("a", "b", "c"))
        for key in ("a", "b"):
            catalogue.captures.begin(run.id, key)
        catalogue.captures.finish(run.id, "a", samples=1, stretches=1)
        catalogue.runs.end(run.id, RunState.INTERRUPTED, error="SIGTERM")
        states = [c.state for c in catalogue.captures.of(run.id)]
        assert states == [CaptureState.FINISHED, CaptureState.INTERRUPTED, CaptureState.PLANNED]
        assert catalogue.runs.get(run.id).error == "SIGTERM"
        with pytest.raises(StoreError, match="cannot become finished: it is interrupted"):
            catalogue.runs.end(run.id, RunState.FINISHED)


def test_orphans_of_a_dead_process_are_interrupted_only_on_their_bench(tmp_path: Path) -> None:
    other = NewRun(bench_name="other", bench_text="", plan_name="", plan_text="")
    with Catalogue.open(tmp_path) as catalogue:
        mine, theirs = catalogue.runs.create(NEW, _planned("a")), catalogue.runs.create(other, [])
        assert catalogue.runs.interrupt_orphans("Demo bench") == [mine.id]
        assert catalogue.runs.get(mine.id).state is RunState.INTERRUPTED
        assert catalogue.runs.get(theirs.id).state is RunState.RUNNING


def test_kpis_read_back_to_the_same_bits(tmp_path: Path) -> None:
    records = [_kpi(), _kpi(5.0), _kpi(5e-324)]
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(NEW, [])
        catalogue.kpis.put(run.id, [_kpi(1.0)])
        catalogue.kpis.put(run.id, records)
        assert catalogue.kpis.of(run.id) == records


def test_a_figure_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(NEW, [])
        with pytest.raises(StoreError, match="nan cannot be stored"):
            catalogue.kpis.put(run.id, [_kpi(float("nan"))])


def test_marks_windows_and_events_read_back(tmp_path: Path) -> None:
    marks = [Mark("rise", "marker", 0.125, 1e-6, "smu"), Mark("fall", "marker", 0.25, 1e-6, "smu")]
    windows = [Window(Phase.INFER, 0.1, 0.2, 1e-6, 2e-6, stretch=1, event=3), Window(Phase.IDLE, 0.2, 0.3, 0.0, 0.0)]
    events = [Event(5, "supply", "on"), Event(4, "note", "later line, earlier time", "a")]
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(NEW, _planned("a"))
        for _ in range(2):
            catalogue.captures.put_marks(run.id, "a", marks)
            catalogue.captures.put_windows(run.id, "a", windows)
        for event in events:
            catalogue.runs.log(run.id, event)
        assert catalogue.captures.marks(run.id, "a") == marks
        assert catalogue.captures.windows(run.id, "a") == windows
        assert catalogue.runs.events(run.id) == events


def test_notes_tags_and_late_facts_change_nothing_else(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(NEW, [])
        catalogue.runs.annotate(run.id, notes="lid open", add_tags=("paper", "cold"))
        catalogue.runs.annotate(run.id, add_tags=("paper",), remove_tags=("cold",))
        catalogue.runs.learn(run.id, instruments={"smu": {"serial": "MY1"}}, firmware_sha256="cd")
        after = catalogue.runs.get(run.id)
    assert (after.notes, after.tags, after.firmware_sha256) == ("lid open", ("paper",), "cd")
    assert after.instruments == {"smu": {"serial": "MY1"}}
    assert after.environment == run.environment


class Counting(Database):
    """Knows how often it was asked."""

    asked = 0

    def query(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        self.asked += 1
        return super().query(sql, values)


def test_the_list_of_runs_is_asked_for_once_however_many_there_are(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        for n in range(5):
            run = catalogue.runs.create(NEW, _planned("a", "b", "c"), now_ns=NOW_NS + n)
            catalogue.runs.annotate(run.id, add_tags=["paper", "keep"])
            catalogue.captures.fail(run.id, "b", "no answer")
        catalogue.runs.end(run.id, RunState.FAILED, error="no answer")
    database = Counting(tmp_path / CATALOGUE, sqlite3.connect(tmp_path / CATALOGUE, isolation_level=None))
    runs = Runs(database)
    found = runs.summaries(limit=4)
    assert database.asked == 1
    assert [one.id for one in found] == [one.id for one in runs.newest(limit=4)]
    assert (found[0].state, found[0].error, found[0].tags) == (RunState.FAILED, "no answer", ("keep", "paper"))
    assert found[0].captures == {"planned": 2, "recording": 0, "finished": 0, "failed": 1, "interrupted": 0}
    assert [one.id for one in runs.summaries(state=RunState.RUNNING, tag="paper")] == [one.id for one in runs.newest()[1:]]
    assert runs.summaries(tag="x") == []
    assert runs.summary("latest") == found[0]
    database.close()


def test_a_run_whose_row_is_damaged_is_named_and_can_be_deleted(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(NEW, _planned("a"))
        beside = open_database(tmp_path / CATALOGUE)
        beside.execute("UPDATE runs SET cards = '{', state = 'banana'")
        beside.close()
        with pytest.raises(StoreError, match=f"cards of run {run.id} is no JSON"):
            catalogue.runs.get(run.id)
        assert [(one.id, one.going_on) for one in catalogue.runs.ages()] == [(run.id, False)]
        for part in ("latest", run.id[:-1]):
            with pytest.raises(NotFound, match=f"no run has the id '{part}'; to delete {run.id}, give the whole of it"):
                catalogue.runs.delete(part)
        catalogue.runs.delete(run.id)
        assert catalogue.runs.ids() == frozenset()


def test_runs_are_found_by_either_end_of_their_id_and_latest(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        old, new = (catalogue.runs.create(NEW, [], now_ns=NOW_NS + k * 10**9) for k in range(2))
        assert catalogue.runs.get("latest").id == new.id
        assert catalogue.runs.get(old.id[:15]).id == old.id
        assert catalogue.runs.get(new.id[-7:]).id == new.id or old.id.endswith(new.id[-7:])
        assert [r.id for r in catalogue.runs.newest()] == [new.id, old.id]
        with pytest.raises(NotFound, match="ambiguous"):
            catalogue.runs.get("20261123")
        with pytest.raises(NotFound, match=rf"no run 'nope' .* {new.id}"):
            catalogue.runs.get("nope")
        with pytest.raises(NotFound):
            catalogue.runs.get("")


def test_a_reader_works_beside_a_writer_and_cannot_write(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path) as writer:
        run = writer.runs.create(NEW, [])
        with Catalogue.open_read_only(tmp_path) as reader:
            assert reader.runs.get("latest") == run
            with pytest.raises(StoreError, match="readonly"):
                reader.runs.annotate(run.id, notes="x")


def test_reading_makes_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no catalogue"):
        Catalogue.open_read_only(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "catalogue.sqlite").write_bytes(b"this is not a database, it only has its name" * 100)
    for opening in (Catalogue.open, Catalogue.open_read_only):
        with pytest.raises(StoreError, match=r"catalogue\.sqlite"):
            opening(tmp_path)


def test_free_pages_can_be_given_back(tmp_path: Path) -> None:
    Catalogue.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "catalogue.sqlite")
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_another_thread_is_refused(tmp_path: Path) -> None:
    errors: list[Exception] = []
    with Catalogue.open(tmp_path) as catalogue:

        def use() -> None:
            try:
                catalogue.runs.newest()
            except StoreError as error:
                errors.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join(20)
    assert len(errors) == 1
    assert "thread" in str(errors[0])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"name": "x", "u": 1.0, "kind": "A", "distribution": "t", "extra": 1}, "no field 'extra'"),
        ({"name": "x", "u": "1", "kind": "A", "distribution": "t"}, r"BudgetLine\.u is '1', expected float"),
        ({"name": "x"}, "missing"),
        ([], "expected dict"),
    ],
)
def test_json_that_does_not_fit_is_refused_by_key(data: object, text: str) -> None:
    with pytest.raises(StoreError, match=text):
        from_json(BudgetLine, data)
