"""Figures of others over HTTP, and a run for other programs."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
import pytest

from labd.analyse.imported import imported_cards
from labd.interchange import document
from tests.analyse.stored_run import copy_of_a_run
from tests.api.served import Api, api
from tests.interchange import samples


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path) as found:
        yield found


def body(files: dict[str, bytes], **more: object) -> dict[str, object]:
    return {"files": [{"name": name, "content": base64.b64encode(data).decode()} for name, data in files.items()], **more}


async def test_files_are_taken_in_listed_shown_in_a_table_and_forgotten(given: Api) -> None:
    made = await given.ask("POST", "imports", json=body(samples.SESSION, model="dnn"))
    assert (made.status_code, made.json()["kind"]) == (201, "energyrunner")
    (card,) = made.json()["cards"]
    folder = given.services.catalogue.folder
    assert [one.text for one in imported_cards(folder)] == [card["text"]]
    assert (await given.ask("GET", "imports")).json() == [card]
    table = (await given.ask("POST", "tables", json={"form": "multi-metric", "imported": True})).json()
    assert [row[0] for row in table["rows"]] == ["s"]
    assert (await given.ask("DELETE", f"imports/{card['id']}")).status_code == 204
    assert (await given.ask("DELETE", f"imports/{card['id']}")).status_code == 404
    assert (await given.ask("GET", "imports")).json() == []


async def test_a_wrong_file_is_told_and_nothing_is_kept(given: Api) -> None:
    wrong = await given.ask("POST", "imports", json=body({"results.txt": b"Median energy cost is x uJ/inf."}))
    assert wrong.status_code == 422
    assert "results.txt: line 1: expected a number" in wrong.text
    unread = await given.ask("POST", "imports", json={"files": [{"name": "a.txt", "content": "%%%"}]})
    assert unread.status_code == 422
    assert "a.txt: content: expected base64" in unread.text
    assert (await given.ask("GET", "imports")).json() == []


async def test_what_is_not_to_be_kept_is_answered_alone(given: Api) -> None:
    made = (await given.ask("POST", "imports", json=body({"m.csv": samples.MAESTRO.encode()}, keep=False, clock_hz=1e9))).json()
    assert made["cards"][0]["id"] == ""
    assert (await given.ask("GET", "imports")).json() == []


@pytest.fixture
def run(tmp_path: Path) -> str:
    """Made outside of the loop: that takes a second."""
    return copy_of_a_run(tmp_path / "store")


async def test_a_run_for_other_programs(run: str, tmp_path: Path) -> None:
    async with api(tmp_path) as given:
        found = (await given.ask("GET", f"runs/{run}/interchange")).json()
        refused = await given.ask("GET", f"runs/{run}/interchange", params={"format": "mlperf-tiny"})
    jsonschema.Draft202012Validator(document.schema()).validate(found)
    assert found["run"]["id"] == run
    assert refused.status_code == 409
    assert "set [windows] in the plan" in refused.text
