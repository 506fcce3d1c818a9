"""What was captured, over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.analyse.scan import Asked, scan_capture
from labd.records import Phase, Role, Window
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from tests.analyse.stored_run import copy_of_a_run
from tests.api.served import api

WINDOWS = (Window(Phase.WAKE, -1e-3, 2e-3, 1e-6, 2e-6, 3, 3), Window(Phase.INFER, 2e-3, 17e-3, 2e-6, 2e-6, 3, 3))


@pytest.fixture
def place(tmp_path: Path) -> str:
    """The API's path of a triggered capture that was analysed."""
    run = copy_of_a_run(tmp_path / "store")
    with Catalogue.open(tmp_path / "store") as catalogue:
        row = next(row for row in catalogue.captures.of(run) if row.role is Role.EVENT)
        catalogue.captures.put_windows(run, row.key, WINDOWS)
    return f"runs/{run}/captures/{row.order}"


async def test_the_windows_of_a_capture_are_those_that_the_analysis_stored(tmp_path: Path, place: str) -> None:
    async with api(tmp_path) as given:
        assert (await given.ask("GET", f"{place}/windows")).json() == [to_json(window) for window in WINDOWS]


async def test_a_capture_that_was_not_made_has_no_windows(tmp_path: Path, place: str) -> None:
    async with api(tmp_path) as given:
        answer = await given.ask("GET", f"{place.rpartition('/')[0]}/999/windows")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_capture_is_added_up_in_one_pass(tmp_path: Path, place: str) -> None:
    run, order = place.split("/")[1], int(place.split("/")[3])
    here = to_json(scan_capture(tmp_path / "store", run, order, Asked(rise=1e-3)))
    async with api(tmp_path) as given:
        assert (await given.ask("GET", f"{place}/scan", params={"rise": 1e-3})).json() == here
        wrong = await given.ask("GET", f"{place}/scan", params={"rise": 1e-3, "fall": 2e-3})
        assert (wrong.status_code, "is not below" in wrong.json()["detail"]) == (422, True)
        assert (await given.ask("GET", f"{place.rpartition('/')[0]}/999/scan")).status_code == 404
