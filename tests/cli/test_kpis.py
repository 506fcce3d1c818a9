"""`labd kpis` lists the table, a domain of it, or one row in full; a demo run emits what the table says is measured, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labd import resources
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


def test_a_name_that_is_nearly_one_is_told_with_that(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["kpis", "energy_per_inferenc"]) == 9
    assert capsys.readouterr().err == "labd: error: no KPI is called 'energy_per_inferenc'; did you mean 'energy_per_inference'?\n"


def test_a_misspelt_first_word_is_told_with_a_kpi_that_begins_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["kpis", "enrgy.x"]) == 9
    assert capsys.readouterr().err == "labd: error: no KPI is called 'enrgy.x'; did you mean 'energy_per_inference'?\n"


def test_a_name_that_is_no_kpi_is_told_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Commands(capsys, kpis)("kpis", "tops per watt")
    assert answer.code == 9
    assert "energy_efficiency" in answer.error


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo run."""
    out = tmp_path_factory.mktemp("demo")
    assert run_command(["demo", "--out", str(out), "--quiet"]) == 0
    return Path(out)


@pytest.fixture(scope="module")
def emitted(demo: Path) -> dict[str, str]:
    """Ids of the figures of a demo run, with their provenance."""
    with Catalogue.open_read_only(demo / "store") as catalogue:
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


@pytest.mark.compiler
def test_every_row_of_the_paper_s_table_is_in_a_demo_run_with_its_value_or_the_reason_why_not(demo: Path) -> None:
    found = {one["id"]: one for one in json.loads((demo / "report/result.json").read_text("utf-8"))["table_1_1"]}
    assert list(found) == [row.id for row in rows() if row.printed]
    assert [kpi for kpi, one in found.items() if not (one["figures"] or one["told"] or one["why"])] == []
    valued = {kpi for kpi, one in found.items() if one["figures"]}
    expected = {"hardware.power", "hardware.peak_throughput", "energy_per_op", "energy_efficiency", "hardware.max_frequency"}
    assert expected | {"wake_up", "latency", "inference_rate", "energy_per_inference", "model.complexity", "model.parameters"} <= valued


TWO_NETS = """schema = 1
name = "two nets"
use_case = "keyword spotting"
modes = ["always_on"]
rates = ["0 /s", "5 /s", "10 /s"]
supply = ["3.0 V"]
models = ["snn", "dnn"]
activity = "10 %"
seed = 1
[captures]
events = 12
floor_time = "1 s"
[detector]
kind = "host-triggered"
"""


@pytest.mark.compiler
def test_a_spiking_net_has_its_own_figures_and_the_other_one_has_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(TWO_NETS)
    bench = resources.path("fixtures") / "benches/demo.toml"
    assert run_command(["run", str(bench), str(tmp_path / "plan.toml"), "--store", str(tmp_path / "store"), "--quiet"]) == 0
    with Catalogue.open_read_only(tmp_path / "store") as catalogue:
        records = catalogue.kpis.of(catalogue.runs.get("latest").id)
    by_net = {net: {r.id: r for r in records if r.at == net or r.at.endswith(f"/{net}")} for net in ("snn", "dnn")}
    assert {"model.synops", "model.spikes", "energy_per_synop.net_of_idle", "energy_per_spike.net_of_idle", "spike_rate"} <= by_net[
        "snn"
    ].keys()
    assert "energy_per_op.gross" not in by_net["snn"]
    assert by_net["dnn"]["model.macs"].value == 131_600
    assert not any(kpi.startswith(("energy_per_s", "spike", "model.s")) for kpi in by_net["dnn"])
    synops, each, energy = (
        by_net["snn"][kpi] for kpi in ("model.synops", "energy_per_synop.net_of_idle", "energy_per_inference.net_of_idle")
    )
    assert synops.value
    assert each.value is not None
    assert each.value * synops.value == pytest.approx(energy.value, rel=0.01)  # of one rate or the other
