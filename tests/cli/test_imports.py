"""`labd import`, `imported`, `tables beside` and `export --as`: figures of others in, and a run out for others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from labd import resources
from labd.analyse.report import report_of
from labd.cli import export, imports, report, tables
from labd.errors import WrongState
from labd.interchange import document
from labd.records import KpiRecord, Provenance
from labd.report.data import RunReport
from tests.analyse.stored_run import copy_of_a_run
from tests.cli.local_app import Commands
from tests.interchange import samples


@pytest.fixture
def labd(capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(capsys, export, imports, report, tables)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / Path(name).name).write_bytes(data)
    return folder


def test_a_session_is_taken_in_listed_shown_beside_a_run_and_forgotten(tmp_path: Path, labd: Commands) -> None:
    store = tmp_path / "store"
    copy_of_a_run(store)
    told = json.loads(labd("import", written(tmp_path / "s", samples.SESSION), "--model", "dnn", "--store", store, "--json").out)
    (card,) = told
    assert card["card"]["name"] == "s"
    assert card["id"].startswith("energyrunner-s-")
    listed = labd("imported", "--store", store).out
    assert card["id"] in listed
    assert "energy_per_inference.mlperf_median" in listed
    assert labd("imported", "--remove", card["id"], "--store", store).out == f"{card['id']} is forgotten\n"
    assert "nothing of others" in labd("imported", "--store", store).out
    assert labd("imported", "--remove", card["id"], "--store", store).code == 9


def test_what_is_kept_stands_in_tables_and_in_reports_of_the_same_net(tmp_path: Path, labd: Commands) -> None:
    store = tmp_path / "store"
    copy_of_a_run(store)
    table = tmp_path / "theirs.csv"
    table.write_text(
        "id,value,unit,name,model,provenance\nenergy_per_inference.gross,1e-3,J,Chip,dnn,estimated\nlatency,1,s,Chip,vww,declared\n"
    )
    assert labd("import", table, "--store", store).code == 0
    rows = json.loads(labd("tables", "beside", "--imported", "--run", "latest", "--store", store, "--json").out)["rows"]
    beside = [row for row in rows if row[0] == "energy_per_inference.gross"]
    assert len(beside) == 2  # a line a mode
    assert all((row[3], row[4], row[5]) == ("Chip", "[1.000 mJ]", "estimated") and "±" in row[6] for row in beside)
    assert {row[6] for row in rows if row[0] == "latency"} == {"another net, no ratio"}
    assert labd("report", "latest", "--store", store, "--out", tmp_path / "r").code == 0
    result = json.loads((tmp_path / "r/result.json").read_text("utf-8"))
    assert {(one["other"], one["kpi"]) for one in result["beside"]} == {("Chip", "energy_per_inference.gross")}
    assert 'class="foreign"' in (tmp_path / "r/report.html").read_text("utf-8")
    assert "Beside the figures of others" in (tmp_path / "r/report.md").read_text("utf-8")


SHIPPED = resources.path("fixtures") / "interchange"


@pytest.mark.parametrize("file", sorted(SHIPPED.iterdir()), ids=lambda file: file.name)
def test_every_shipped_example_is_taken_in(file: Path, tmp_path: Path, labd: Commands) -> None:
    assert labd("import", file, "--clock", "200 MHz", "--model", "kws01", "--store", tmp_path).code == 0
    assert json.loads(labd("imported", "--store", tmp_path, "--json").out)


def test_cards_are_written_as_files_where_a_folder_is_named(tmp_path: Path, labd: Commands) -> None:
    file = tmp_path / "m.csv"
    file.write_text(samples.MAESTRO)
    assert labd("import", file, "--clock", "200 MHz", "--name", "Eyeriss/x", "--out", tmp_path / "cards", "--store", tmp_path).code == 0
    assert "latency" in (tmp_path / "cards/Eyeriss-x.toml").read_text("utf-8")
    assert not (tmp_path / "imported").exists()
    assert "left as it is" in labd("import", file, "--name", "Eyeriss/x", "--out", tmp_path / "cards").error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere.txt",), "nowhere.txt: cannot be read: No such file"),
        (("empty",), "empty: this folder holds no file whose name ends in"),
        (("hello.txt",), "hello.txt: labd does not know what this is; say it with --as"),
        (("hello.txt", "--as", "mlmark"), "hello.txt: expected the table of MLMark"),
        (("hello.txt", "--clock", "fast"), "--clock"),
        (("hello.txt", "--meter-limit", "-2 %"), "--meter-limit"),
        (("hello.txt", "hello.txt", "--as", "run"), "expected one archive of a run, got 2 files"),
    ],
)
def test_what_cannot_be_taken_in_is_told_by_name(
    arguments: tuple[str, ...], says: str, tmp_path: Path, labd: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "hello.txt").write_text("hello")
    answer = labd("import", *arguments, "--store", tmp_path / "store")
    assert answer.code == 2
    assert says in answer.error


def test_a_run_as_json_follows_its_schema_and_is_read_by_another_bench(tmp_path: Path, labd: Commands) -> None:
    copy_of_a_run(tmp_path / "here")
    file = tmp_path / "figures.json"
    assert labd("export", "latest", "--as", "json", "--out", file, "--store", tmp_path / "here").out == f"{file}\n"
    found = json.loads(file.read_text("utf-8"))
    jsonschema.Draft202012Validator(document.schema()).validate(found)
    (card,) = json.loads(labd("import", file, "--store", tmp_path / "there", "--json").out)
    assert [(one["id"], one["value"], one["u"]) for one in card["card"]["given"]] == [
        (f["id"], f["value"], f["u"]) for f in found["figures"]
    ]
    assert found["run"]["simulated"]
    assert {one["provenance"] for one in card["card"]["given"]} == {"estimated"}  # of virtual instruments
    assert "left as it is" in labd("export", "latest", "--as", "json", "--out", file, "--store", tmp_path / "here").error


def test_the_published_schema_is_the_shipped_one() -> None:
    docs = Path(__file__).parents[2] / "docs/reference"
    assert json.loads((docs / "interchange.schema.json").read_text("utf-8")) == document.schema()
    jsonschema.Draft202012Validator.check_schema(document.schema())


def test_a_run_that_was_not_measured_by_the_rule_has_no_result_lines(tmp_path: Path, labd: Commands) -> None:
    copy_of_a_run(tmp_path)
    answer = labd("export", "latest", "--as", "mlperf-tiny", "--store", tmp_path)
    assert answer.code == WrongState.exit_code
    assert "set [windows] in the plan" in answer.error


def with_figures(found: RunReport, *figures: KpiRecord) -> RunReport:
    return replace(found, kpis=(*found.kpis, *figures))


def test_result_lines_of_what_was_measured_by_the_rule(tmp_path: Path) -> None:
    copy_of_a_run(tmp_path)
    found = report_of(tmp_path, "latest")
    at = found.points[0].key
    median = KpiRecord(
        "energy_per_inference.mlperf_median", at, 1.4306681e-3, "J", None, None, None, 5, Provenance.MEASURED, "median of windows"
    )
    rate = KpiRecord("inference_rate.back_to_back", at, 23.5, "Hz", 0.1, 23.3, 23.7, 10, Provenance.MEASURED, "m")
    accuracy = KpiRecord("task.accuracy", "dnn", 0.902, "1", None, None, None, 1000, Provenance.MEASURED, "m")
    lines = document.mlperf_results(with_figures(found, median, rate, accuracy)).splitlines()
    assert "Median energy cost is 1430.6681 uJ/inf." in lines
    assert "labd: Median throughput is     23.500 inf./sec." in lines
    assert "labd: Top 1% = 90.2" in lines
    assert not any(line.startswith("ERROR") for line in lines)
    short = document.mlperf_results(with_figures(found, replace(median, n=3, flags=("windows shorter than 10 s",))))
    assert short.count("ERROR: Not valid for submission.") == 2
    with pytest.raises(WrongState, match="model 'vww' of run"):
        document.mlperf_results(with_figures(found, median), "vww")
