"""Figures of many runs: the same by whoever computes them, one that is damaged keeps no other back, and a dataset that others can open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path

import pyarrow.dataset as pads
import pytest
from distributed import Client, LocalCluster

from labd.analyse import dataset, environment
from labd.analyse.many import RunFigures, ended, figures_of, in_processes, on_cluster, one_by_one
from labd.cli.main import run_command
from labd.errors import StoreError
from labd.records import Mode
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState
from tests.analyse.stored_run import NOW_NS, captures, make_run, new_run

RUNS = 3
DAY_NS = 86_400_000_000_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with noise of their own, the last in another month, and one that is still going on."""
    folder = tmp_path_factory.mktemp("store")
    for k in range(RUNS):
        made = captures((10.0,), (Mode.ALWAYS_ON, Mode.EVENT_SLEEP), seed=k)
        make_run(folder, made, now_ns=NOW_NS + (k // 2) * 10 * DAY_NS + k)
    with Catalogue.open(folder) as catalogue:
        catalogue.runs.create(new_run(), [], now_ns=NOW_NS + 20 * DAY_NS)
    return folder


@pytest.fixture(scope="module")
def ids(store: Path) -> list[str]:
    with Catalogue.open_read_only(store) as catalogue:
        return [run.id for run in ended(catalogue)]


@pytest.fixture(scope="module")
def reference(store: Path, ids: list[str]) -> dict[str, RunFigures]:
    return {figures.id: figures for figures in one_by_one(store, ids)}


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1") as made:
        yield made


def test_every_run_that_has_ended_is_analysed_oldest_first(store: Path, ids: list[str], reference: dict[str, RunFigures]) -> None:
    with Catalogue.open_read_only(store) as catalogue:
        times = [catalogue.runs.get(run_id).created_ns for run_id in ids]
    assert len(ids) == RUNS
    assert times == sorted(times)
    assert all(figures.records and not figures.differences and not figures.error for figures in reference.values())
    gross = {next(r.value for r in f.records if r.id == "energy_per_inference.at_rate") for f in reference.values()}
    assert len(gross) == RUNS  # each has its own noise: figures cannot have been taken from another


def test_a_cluster_gives_the_same_figures_bit_for_bit(
    store: Path, ids: list[str], reference: dict[str, RunFigures], cluster: LocalCluster
) -> None:
    found = {figures.id: figures for figures in on_cluster(cluster.scheduler_address)(store, ids)}
    assert found == reference


def test_processes_give_the_same_figures_bit_for_bit(store: Path, ids: list[str], reference: dict[str, RunFigures]) -> None:
    assert {figures.id: figures for figures in in_processes(2)(store, ids)} == reference


def test_a_cluster_that_does_not_see_the_store_is_refused_by_name(tmp_path: Path, cluster: LocalCluster) -> None:
    with pytest.raises(StoreError, match=r"has no .*nowhere/catalogue.sqlite; the store must lie where all of them see it"):
        list(on_cluster(cluster.scheduler_address)(tmp_path / "nowhere", ["a"]))


def test_workers_with_other_versions_are_refused_by_name(store: Path, ids: list[str], cluster: LocalCluster) -> None:
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        client.run(pretend, "0.0")
        try:
            with pytest.raises(StoreError, match=r"worker tcp:\S+ would compute other figures, it has labd 0\.0 \(here "):
                list(on_cluster(cluster.scheduler_address)(store, ids))
        finally:
            client.run(pretend, "")


def pretend(version: str) -> None:
    """In a worker: that its packages are of this version; empty: what they are."""
    setattr(environment, "_version", partial(_said, version) if version else metadata.version)  # noqa: B010  of another process


def _said(version: str, _package: str) -> str:
    return version


def test_nobody_at_the_address_is_told(store: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labd.analyse.many.CONNECTS_S", 0.5)
    with pytest.raises(StoreError, match=r"--dask 127\.0\.0\.1:1: no scheduler of Dask answers there"):
        list(on_cluster("127.0.0.1:1")(store, ids))


def test_a_run_whose_traces_are_gone_is_told_and_keeps_no_other_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(2):
        make_run(tmp_path, captures((10.0,), (Mode.ALWAYS_ON,), seed=k), now_ns=NOW_NS + k)
    with Catalogue.open_read_only(tmp_path) as catalogue:
        broken, sound = (run.id for run in ended(catalogue))
    for trace in (tmp_path / "traces" / broken).iterdir():
        trace.unlink()
    assert run_command(["analyse", "--all", "--store", str(tmp_path), "--to", str(tmp_path / "set")]) == 1
    told = capsys.readouterr()
    assert f"labd: {broken}: " in told.err
    assert "no such trace" in told.err
    assert "1 runs could not be analysed" in told.out
    assert pads.dataset(tmp_path / "set" / "kpis", partitioning="hive").to_table()["run"].unique().to_pylist() == [sound]


def test_the_dataset_holds_every_figure_at_its_operating_point_by_bench_and_month(tmp_path: Path, reference: dict[str, RunFigures]) -> None:
    for figures in reference.values():
        dataset.write(tmp_path, figures)
    kpis = pads.dataset(tmp_path / "kpis", partitioning="hive").to_table().to_pylist()
    assert len(kpis) == sum(len(figures.records) for figures in reference.values())
    assert {row["month"] for row in kpis} == {"2026-11", "2026-12"}
    for run_id, figures in reference.items():
        rows = [row for row in kpis if row["run"] == run_id]
        for row, record in zip(rows, figures.records, strict=True):
            assert (row["id"], row["at"], row["value"], row["u"], row["low"], row["high"]) == (
                record.id, record.at, record.value, record.u, record.low, record.high,
            )  # fmt: skip
            assert [line["u"] for line in row["budget"]] == [line.u for line in record.budget]
    at_rate = [row for row in kpis if row["at"] == "event_sleep/r=10/v=3/dnn"]
    assert at_rate
    assert {(row["mode"], row["rate_hz"], row["supply_v"], row["model"]) for row in at_rate} == {("event_sleep", 10.0, 3.0, "dnn")}
    captured = pads.dataset(tmp_path / "captures", partitioning="hive").to_table().to_pylist()
    assert {row["trace"] for row in captured} == {row.trace for figures in reference.values() for row in figures.captures}


def test_a_dataset_that_is_made_again_goes_on_where_it_was_left(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["analyse", "--all", "--store", str(store), "--to", str(tmp_path)]
    assert run_command(command) == 0
    assert f"of {RUNS} runs" in capsys.readouterr().out
    newest = sorted((tmp_path / "runs").rglob("*.parquet"))[-1]
    newest.unlink()
    assert run_command(command) == 0
    assert f"of 1 runs, {RUNS - 1} were in {tmp_path} already" in capsys.readouterr().out
    assert run_command([*command, "--anew"]) == 0
    assert f"of {RUNS} runs" in capsys.readouterr().out


def test_figures_by_another_version_are_not_taken_for_todays(
    store: Path, tmp_path: Path, reference: dict[str, RunFigures], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = next(iter(reference.values()))
    dataset.write(tmp_path, figures)
    with Catalogue.open_read_only(store) as catalogue:
        run = catalogue.runs.summary(figures.id)
    assert dataset.holds(tmp_path, run)
    assert not dataset.holds(tmp_path, replace(run, ended_ns=(run.ended_ns or 0) + 1))  # resumed since
    monkeypatch.setattr(dataset, "versions", lambda: {"labd": "99"})
    assert not dataset.holds(tmp_path, run)


def test_a_run_that_goes_on_has_no_figures_yet(store: Path) -> None:
    with Catalogue.open_read_only(store) as catalogue:
        (going,) = catalogue.runs.summaries(state=RunState.RUNNING)
    assert figures_of(store, going.id).error == "the run is still going on"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["analyse"], "give a RUN, or --all"),
        (["analyse", "latest", "--all"], "--all takes no RUN"),
        (["analyse", "--all", "--dask", "127.0.0.1:1", "--processes", "2"], "--dask and --processes exclude each other"),
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str], says: str, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*words, "--store", str(store)]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
