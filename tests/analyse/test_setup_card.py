"""A run's set-up card has what the run knows of how it was measured, and what a person added; the run says whether all is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from labd.analyse.disclosure import disclosure, untold
from labd.analyse.report import report_of
from labd.analyse.run import analyse_run, store_analysis
from labd.analyse.setup_card import FROM_RUN, known, setup_card
from labd.cards.read import card_from, stored
from labd.cards.write import written
from labd.report import json
from labd.store.catalogue import Catalogue
from labd.store.rows import CaptureRow, RunRow
from tests.analyse.stored_run import copy_of_a_run


@pytest.fixture
def run(tmp_path: Path) -> tuple[RunRow, list[CaptureRow]]:
    copy_of_a_run(tmp_path)
    with Catalogue.open_read_only(tmp_path) as catalogue:
        found = catalogue.runs.get("latest")
        return found, catalogue.captures.of(found.id)


def typed(text: str) -> dict[str, Any]:
    return {"setup": stored(card_from(f'schema = 1\ncard = "setup"\nname = "mine"\n{text}', "setup"))}


def test_a_run_knows_its_instruments_ranges_supply_temperature_windows_modes_and_rates(run: tuple[RunRow, list[CaptureRow]]) -> None:
    found = known(*run)
    assert tuple(found) == FROM_RUN
    assert found["instruments"] == [
        "smu: Keysight Technologies N6705C, serial MY1, firmware E.02.11, source and meter, virtual, calibrated 2026-06-01"
    ]
    assert found["ranges"] == "smu 10 µA, 1 mA, 100 mA, 20 V"
    assert (found["supply"], found["temperature"]) == ("3 V", "23 °C ± 1 K")
    assert found["modes"] == "always_on (wfi), event_sleep"
    assert found["windows"].startswith("from the rise to the fall of the marker, one inference; energy by guard band")
    assert "four edges of the marker" in found["windows"]


def test_what_a_person_wrote_stands_before_what_the_run_knows(run: tuple[RunRow, list[CaptureRow]]) -> None:
    row = dataclasses.replace(run[0], cards=typed('rails = "VDD"\ntemperature = "in the oven at 60 degrees"\nunknown = ["ranges"]\n'))
    card = setup_card(row, run[1])
    assert (card["name"], card["rails"], card["temperature"]) == ("mine", "VDD", "in the oven at 60 degrees")
    assert card["supply"] == "3 V"
    assert card["unknown"] == []  # the run does know them
    assert stored(card_from(written(card), "setup"))["instruments"] == card["instruments"]


def test_a_run_without_cards_is_incomplete_field_by_field(run: tuple[RunRow, list[CaptureRow]]) -> None:
    missing = untold(*run)
    assert {"hardware.process_node", "model.macs", "setup.rails", "task.objective"} <= set(missing)
    assert not {f"setup.{key}" for key in FROM_RUN} & set(missing)
    assert "hardware.origin" not in missing  # the board says that it is virtual
    assert missing == tuple(key for item in disclosure(*run) for key in item.keys)


def test_the_result_and_the_list_of_runs_say_so_too(tmp_path: Path) -> None:
    run_id = copy_of_a_run(tmp_path)
    with Catalogue.open(tmp_path) as catalogue:
        assert (catalogue.runs.summary(run_id).complete, catalogue.runs.summary(run_id).untold) == (None, None)
        store_analysis(catalogue, analyse_run(catalogue, run_id))
        (listed,) = catalogue.runs.summaries()
    document = json.document(report_of(tmp_path, run_id))
    assert (listed.complete, document["complete"]) == (False, False)
    assert listed.untold is not None
    assert list(listed.untold) == document["missing"]
    assert document["setup"]["supply"] == "3 V"
    with Catalogue.open(tmp_path) as catalogue:
        catalogue.runs.disclosed(run_id, [])
        assert catalogue.runs.summary(run_id).complete is True
