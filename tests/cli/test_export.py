"""`labd export` writes traces that other programs open, with every sample of the stored ones."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from labd.cards.kinds import SetupCard
from labd.cards.read import card_from
from labd.cli import export
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState
from labd.store.trace import Trace
from labd.store.trace_reader import read_trace
from tests.analyse.stored_run import NOW_NS, captures, copy_of_a_run, new_run, record
from tests.cli.local_app import Answer, Commands


def _export(tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: object) -> Answer:
    return Commands(capsys, export)("export", "latest", "--store", tmp_path / "store", "--out", tmp_path / "out", *more)


def _index(folder: Path) -> list[dict[str, str]]:
    with (folder / "captures.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _stored(store: Path, key: str) -> Trace:
    with Catalogue.open_read_only(store) as catalogue:
        run = catalogue.runs.get("latest")
        return read_trace(catalogue.trace_path(catalogue.captures.get(run.id, key)))


def test_a_parquet_export_holds_every_sample_with_its_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of_a_run(tmp_path / "store")
    assert _export(tmp_path, capsys).code == 0
    for line in _index(tmp_path / "out"):
        table = pq.read_table(tmp_path / "out" / line["file"])
        trace = _stored(tmp_path / "store", line["capture"])
        assert table.column_names == ["stretch", "t_ns", "current", "voltage", "marker", "digital"]
        assert len(table) == trace.samples == int(line["samples"])
        t_ns = np.concatenate([s.t0_ns + np.arange(len(s)) * int(line["dt_ns"]) for s in trace.stretches])
        np.testing.assert_array_equal(table.column("t_ns").to_numpy(), t_ns)
        current = np.concatenate([s.current for s in trace.stretches if s.current is not None])
        np.testing.assert_array_equal(table.column("current").to_numpy(), current)
        assert table.column("digital").null_count == len(table)


def test_a_csv_export_reads_back_to_the_same_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of_a_run(tmp_path / "store")
    _export(tmp_path, capsys, "--format", "csv")
    line = next(i for i in _index(tmp_path / "out") if i["role"] == "event")
    trace = _stored(tmp_path / "store", line["capture"])
    with (tmp_path / "out" / line["file"]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    stored = np.concatenate([s.current for s in trace.stretches if s.current is not None])
    np.testing.assert_array_equal(np.array([r["current"] for r in rows], dtype=np.float32), stored)
    assert {r["stretch"] for r in rows} == {"0", "1", "2", "3"}
    assert int(rows[0]["t_ns"]) < 0  # before the trigger
    assert rows[0]["digital"] == ""


def test_an_npz_export_holds_the_columns_that_were_recorded_and_the_sample_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_of_a_run(tmp_path / "store")
    assert _export(tmp_path, capsys, "--format", "npz").code == 0
    for line in _index(tmp_path / "out"):
        trace = _stored(tmp_path / "store", line["capture"])
        with np.load(tmp_path / "out" / line["file"], allow_pickle=False) as arrays:
            recorded = {c for c in ("current", "voltage", "marker") if getattr(trace.stretches[0], c) is not None}
            assert set(arrays) == {"stretch", "t_ns", "dt_ns", *recorded}
            assert int(arrays["dt_ns"]) == trace.dt_ns
            for name in recorded:
                np.testing.assert_array_equal(arrays[name], np.concatenate([getattr(s, name) for s in trace.stretches]))
            np.testing.assert_array_equal(arrays["t_ns"], np.concatenate([s.t0_ns + np.arange(len(s)) * s.dt_ns for s in trace.stretches]))
            np.testing.assert_array_equal(arrays["stretch"], np.repeat(range(len(trace.stretches)), [len(s) for s in trace.stretches]))


def test_an_export_explains_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = copy_of_a_run(tmp_path / "store")
    answer = _export(tmp_path, capsys)
    names = {p.name for p in (tmp_path / "out").iterdir()}
    files = {"bench.toml", "board.toml", "plan.toml"}
    card = card_from((tmp_path / "out/cards/setup.toml").read_text("utf-8"), "setup")
    assert isinstance(card, SetupCard)
    assert (card.supply, card.modes) == ("3 V", "always_on (wfi), event_sleep")
    assert names == {"traces", "cards", "captures.csv", "windows.csv", "kpis.csv", "result.json", "README.md", *files}
    told = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert run_id in told
    assert all(f"`{name}`" in told for name in ("stretch", "t_ns", "current", "voltage", "marker", "digital"))
    assert "9 traces" in answer.out


def test_a_folder_with_files_is_left_alone_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of_a_run(tmp_path / "store")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kpis.csv").write_text("mine")
    refused = _export(tmp_path, capsys)
    assert refused.code == 8
    assert "--force" in refused.error
    assert (tmp_path / "out" / "kpis.csv").read_text() == "mine"
    assert _export(tmp_path, capsys, "--force").code == 0
    assert (tmp_path / "out" / "kpis.csv").read_text() != "mine"


def test_a_failed_run_exports_the_captures_it_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = captures(rates=())
    with Catalogue.open(tmp_path / "store") as catalogue:
        run = catalogue.runs.create(new_run(), [m.planned for m in made], now_ns=NOW_NS)
        record(catalogue, run.id, made[0])
        catalogue.captures.begin(run.id, made[1].planned.key)
        catalogue.runs.end(run.id, RunState.FAILED, error="the board is gone")
    answer = _export(tmp_path, capsys)
    assert answer.code == 0
    assert [line["capture"] for line in _index(tmp_path / "out")] == [made[0].planned.key]
