"""`labd chart`: runs and cards side by side, printed and drawn."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labd import resources
from labd.cli import chart
from tests.analyse.stored_run import copy_of_a_run
from tests.cli.local_app import Commands


@pytest.fixture
def labd(capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(capsys, chart)


def test_a_run_is_charted_as_text_picture_and_page(labd: Commands, tmp_path: Path) -> None:
    copy_of_a_run(tmp_path / "store")
    given = ("--run", "latest", "--store", tmp_path / "store")
    said = labd("chart", "break-even", *given, "--out", tmp_path / "new/chart.svg").out
    assert "virtual-m4, dnn, event-sleep" in said
    assert "cannot be told: always-on against event-based without the power" in said  # it names no detector
    assert str(tmp_path / "new/chart.svg") in said
    drawn = ElementTree.parse(tmp_path / "new/chart.svg").getroot()
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    found = json.loads(labd("chart", "all", *given, "--out", tmp_path / "all.html", "--json").out)
    assert [one["title"] for one in found["charts"]] == ["Pareto plot", "Break-even across boards", "Radar plot"]
    assert (tmp_path / "all.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_a_run_stands_beside_cards_and_the_fit_s_band_is_that_of_the_analysis(labd: Commands, tmp_path: Path) -> None:
    copy_of_a_run(tmp_path / "store")
    folder = resources.path("fixtures") / "cards/paper/table-1.3"
    found = json.loads(labd("chart", "pareto", folder, "--run", "latest", "--store", tmp_path / "store", "--json").out)
    rows = found["charts"][0]["tables"][0]["rows"]
    assert [row[0].partition(" ")[2] for row in rows[:2]] == ["SSD300", "SSD512"]
    assert [row[0].partition(", ")[2].rpartition(" at ")[0] for row in rows[5:]] == ["dnn, always-on", "dnn, event-sleep"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("all",), "there is nothing to show: name --run RUN once or several times, or files of cards"),
        (("pareto", "nowhere.toml"), "nowhere.toml"),
        (("radar", "model.toml", "--out", "x.png"), "expected a file that ends in .svg or .html, got x.png"),
        (("radar", "model.toml", "--out", "x.svg", "--store", "."), "there is nothing to draw: no radar is drawn"),
        (("break-even", "--run", "r1", "--store", "."), "r1"),
        (("pareto", "model.toml", "--energy", "grosss"), "--energy: expected one of gross, per_event, at_rate, net_of_idle, net_of_sleep"),
        (("pareto", "model.toml", "--metric", "latency"), "--metric: expected a task KPI such as task.accuracy, task.balanced_accuracy"),
    ],
)
def test_what_cannot_be_shown_is_told_by_name(
    arguments: tuple[str, ...], says: str, labd: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copy_of_a_run(tmp_path)
    Path("model.toml").write_text('schema = 1\ncard = "model"\nname = "mine"\n', encoding="utf-8")
    answer = labd("chart", *arguments)
    assert answer.code != 0
    assert says in answer.error
