"""Searches over HTTP, with a real store and queue."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from labd.accuracy.dataset import read_dataset
from labd.accuracy.kept import pack
from labd.search import html
from labd.search.folder import Basis, open_search
from labd.search.result import document
from labd.store.jsonform import to_json
from tests.api.served import Api, api
from tests.search.made import USE_CASE, outcome, use_case


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path) as found:
        yield found


@pytest.fixture
async def dataset(given: Api, tmp_path: Path) -> str:
    (tmp_path / "words").mkdir()
    (tmp_path / "words/0.bin").write_bytes(bytes(4))
    (tmp_path / "words/y_labels.csv").write_text("0.bin,2,1\n")
    pack(read_dataset(tmp_path / "words"), tmp_path / "words.zip")
    content = (tmp_path / "words.zip").read_bytes()
    kept = await given.ask("POST", "datasets", content=content, headers={"content-type": "application/zip"})
    return str(kept.json()["id"])


async def test_a_use_case_becomes_a_job_of_the_queue(given: Api, dataset: str) -> None:
    answer = await given.ask("POST", "searches", json={"use_case_text": USE_CASE, "dataset": dataset, "platforms": ["m4"], "priority": 3})
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert (job["kind"], job["plan_name"], job["priority"], job["made"]) == ("search", "search for keywords", 3, "")
    assert json.loads(job["asked"]) == {"use_case": USE_CASE, "dataset": dataset, "platforms": ["m4"], "fresh": False}


async def test_a_use_case_with_a_mistake_or_without_its_data_is_refused(given: Api, dataset: str) -> None:
    wrong = USE_CASE.replace('rate = "2 /s"', 'rate = "2"')
    answer = await given.ask("POST", "searches", json={"use_case_text": wrong, "dataset": dataset})
    assert (answer.status_code, "events.rate" in answer.json()["detail"]) == (422, True)
    answer = await given.ask("POST", "searches", json={"use_case_text": USE_CASE, "dataset": "0" * 16})
    assert answer.status_code == 404
    assert (await given.ask("GET", "jobs")).json() == []


async def test_what_a_search_came_to_is_there_once_it_has_ended(given: Api) -> None:
    case = use_case()
    folder = open_search(given.services.catalogue.folder, Basis(case.name, case.text, {}), fresh=True)
    done = outcome(1, energy_per_inference=(1e-3, 1e-5), accuracy=(0.9, 0.02), latency=(0.02, 0.001), memory=(6000, 0.0))
    folder.keep(done)
    (listed,) = (await given.ask("GET", "searches")).json()
    assert (listed["id"], listed["name"], listed["ended"], listed["candidates"]) == (folder.id, "keywords", False, 1)
    assert (await given.ask("GET", f"searches/{folder.id}/summary")).json() == listed
    assert (await given.ask("GET", f"searches/{folder.id}")).status_code == 404

    found = document(case, folder.id, [done], benches={"m4": "demo", "m0": "other"}, dataset="words", samples=1)
    folder.end(found, html.render(found))
    assert (await given.ask("GET", f"searches/{folder.id}")).json() == to_json(found)
    page = await given.ask("GET", f"searches/{folder.id}/report")
    assert (page.headers["content-type"].partition(";")[0], "m4/1" in page.text) == ("text/html", True)
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_a_search_that_is_not_there_is_told(given: Api) -> None:
    answer = await given.ask("GET", "searches/20260101-000000-x")
    assert (answer.status_code, "there is no search" in answer.json()["detail"]) == (404, True)
