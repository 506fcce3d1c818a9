"""`labd tables`: the paper's own lines, cards of somebody else, runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labd import resources
from labd.cli import tables
from tests.analyse.stored_run import copy_of_a_run
from tests.cli.local_app import Commands

FORMS = ("1.2", "1.3", "1.4", "1.5")
MODEL = 'schema = 1\ncard = "model"\nname = "mine"\nparameters = 2000\n'


@pytest.fixture
def labd(capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(capsys, tables)


@pytest.mark.parametrize("form", FORMS)
def test_the_papers_own_lines_are_printed_as_text_markdown_and_json(form: str, labd: Commands) -> None:
    data = json.loads(labd("tables", form, "--paper", "--json").out)
    cells = {cell for row in data["rows"] for cell in row}
    text, markdown = labd("tables", form, "--paper").out, labd("tables", form, "--paper", "--md").out
    assert all(cell in text for cell in cells)
    assert all(cell in text for cell in data["head"])
    assert sum(line.startswith("| ") for line in markdown.splitlines()) == len(data["rows"]) + 2  # the head, and the rule below it
    assert f"table {form}" in markdown.replace("\\", "")


def test_files_and_folders_of_cards_stand_in_their_order(labd: Commands, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MODEL, encoding="utf-8")
    folder = resources.path("fixtures") / "cards/paper/table-1.3"
    data = json.loads(labd("tables", "1.3", tmp_path / "mine.toml", folder, "--json").out)
    assert [row[0] for row in data["rows"]] == ["mine", "SSD300", "SSD512", "YOLOv2", "MNetV1+SSDLite", "MNetV2+SSDLite"]
    assert data["rows"][0] == ["mine", "-", "2k", "-", "-"]


def test_a_run_has_its_measured_energy_beside_cards(labd: Commands, tmp_path: Path) -> None:
    copy_of_a_run(tmp_path / "store")
    (tmp_path / "mine.toml").write_text(MODEL, encoding="utf-8")
    data = json.loads(
        labd("tables", "multi-metric", tmp_path / "mine.toml", "--run", "latest", "--store", tmp_path / "store", "--json").out
    )
    lines = {row[0]: row for row in data["rows"]}
    measured = [name for name in lines if name != "mine"]
    assert {name.split(", ")[2].partition(" at ")[0] for name in measured} == {"always-on", "event-sleep"}
    assert all("±" in lines[name][4] and "J (" in lines[name][4] for name in measured)
    assert lines["mine"][4] == "-"
    assert any(note.startswith("measured (") for note in data["notes"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("1.2",), "there is nothing to show: name files of cards, --run RUN, or --paper"),
        (("multi-metric", "--paper"), "the paper prints no multi-metric table"),
        (("1.2", "empty"), "this folder holds no card"),
        (("1.2", "nowhere.toml"), "nowhere.toml"),
        (("1.2", "wrong.toml"), "wrong.toml: paramters: no such key; did you mean parameters?"),
    ],
)
def test_what_cannot_be_shown_is_told_by_name(
    arguments: tuple[str, ...], says: str, labd: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "wrong.toml").write_text(MODEL.replace("parameters", "paramters"), encoding="utf-8")
    answer = labd("tables", *arguments)
    assert (answer.code, says in answer.error) == (2, True), answer.error
