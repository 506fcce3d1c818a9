"""`labd kpis` lists the table, a domain of it, or one row in full; a demo run emits what the table says is measured, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labd.cli import kpis
from labd.cli.main import run_command
from labd.kpi.table import row_of, rows
from labd.store.catalogue import Catalogue
from tests.cli.local_app import Commands


def test_every_row_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    out = Commands(capsys, kpis)("kpis").out
    assert [row.id for row in rows() if f" {row.id} " not in out] == []


def test_a_domain_is_listed_alone_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(Commands(capsys, kpis)("kpis", "--domain", "task", "--json").out)
    assert {row["domain"] for row in found} == {"task"}
    assert len(found) == 10


def test_one_kpi_is_explained_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    out = Commands(capsys, kpis)("kpis", "energy_per_op.gross").out
    assert "energy_per_inference.gross / (2 MACs)" in out
    assert "provenance: computed" in out


def test_a_name_that_is_no_kpi_is_told_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Commands(capsys, kpis)("kpis", "tops per watt")
    assert answer.code == 9
    assert "energy_efficiency" in answer.error


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Ids of the figures of a demo run, with their provenance."""
    out = tmp_path_factory.mktemp("demo")
    assert run_command(["demo", "--out", str(out), "--quiet"]) == 0
    with Catalogue.open_read_only(Path(out) / "store") as catalogue:
        run = catalogue.runs.get("latest")
        return {record.id: str(record.provenance) for record in catalogue.kpis.of(run.id)}


@pytest.mark.compiler
def test_every_figure_of_a_demo_run_is_in_the_table(emitted: dict[str, str]) -> None:
    assert sorted(kpi for kpi in emitted if row_of(kpi) is None) == []
    wrong = {kpi: provenance for kpi, provenance in emitted.items() if (row := row_of(kpi)) and provenance not in row.provenance}
    assert wrong == {}


@pytest.mark.compiler
def test_what_the_table_calls_measured_or_computed_without_a_need_is_in_a_demo_run(emitted: dict[str, str]) -> None:
    lacking = [row.id for row in rows() if row.records and not row.needs and not row.carried and not any(map(row.carries, emitted))]
    assert lacking == []
    assert {"energy_per_op.gross", "energy_efficiency.gross", "throughput.one_in_flight", "model.macs", "edp.gross"} <= emitted.keys()
