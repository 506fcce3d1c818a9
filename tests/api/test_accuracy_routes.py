"""Data sets and accuracy runs over HTTP, with a real store and queue."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from labd.accuracy.dataset import read_dataset
from labd.accuracy.kept import pack
from labd.store.jobs import JobKind, NewJob
from tests.api.served import Api, api, scheduling, until_running

ZIP = {"content-type": "application/zip"}


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path) as found:
        yield found


@pytest.fixture
def packed(tmp_path: Path) -> bytes:
    (tmp_path / "words").mkdir()
    (tmp_path / "words/0.bin").write_bytes(bytes(4))
    (tmp_path / "words/y_labels.csv").write_text("0.bin,2,1\n")
    pack(read_dataset(tmp_path / "words"), tmp_path / "words.zip")
    return (tmp_path / "words.zip").read_bytes()


async def test_a_data_set_is_sent_listed_and_deleted(given: Api, packed: bytes) -> None:
    answer = await given.ask("POST", "datasets", content=packed, headers=ZIP)
    assert answer.status_code == 201
    kept = answer.json()
    assert (kept["name"], kept["samples"], kept["classes"], kept["input_size"]) == ("words", 1, 2, 4)
    assert (await given.ask("GET", "datasets")).json() == [kept]
    assert (await given.ask("DELETE", f"datasets/{kept['id']}")).status_code == 204
    assert (await given.ask("GET", "datasets")).json() == []
    assert (await given.ask("DELETE", f"datasets/{kept['id']}")).status_code == 404


async def test_what_is_no_data_set_is_refused_in_words(given: Api, tmp_path: Path) -> None:
    answer = await given.ask("POST", "datasets", content=b"PK no zip", headers=ZIP)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert "no zip of a data set" in answer.json()["detail"]
    assert (await given.ask("POST", "datasets", json={})).status_code == 415


async def test_a_job_asks_for_the_data_set_that_was_sent(given: Api, packed: bytes) -> None:
    kept = (await given.ask("POST", "datasets", content=packed, headers=ZIP)).json()
    answer = await given.ask("POST", "accuracy", json={"dataset": kept["id"], "model": "dnn", "verify_every": 3})
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert (job["kind"], job["plan_name"], job["plan_text"], job["made"]) == ("accuracy", "accuracy on words", "", "")
    assert json.loads(job["asked"]) == {"dataset": kept["id"], "model": "dnn", "fresh": False, "verify_every": 3}
    unknown = await given.ask("POST", "accuracy", json={"dataset": "0" * 16})
    assert unknown.status_code == 404
    refused = await given.ask("PATCH", f"jobs/{job['id']}", json={"plan_text": "schema = 1"})
    assert (refused.status_code, "has no plan to change" in refused.json()["detail"]) == (409, True)


async def test_an_accuracy_run_is_aborted_not_paused(given: Api) -> None:
    job = await given.services.queue.submit(NewJob("accuracy on words", "", kind=JobKind.ACCURACY))
    async with scheduling(given):
        await until_running(given, job.id)
        refused = await given.ask("POST", f"jobs/{job.id}/pause")
        assert (refused.status_code, "labd abort" in refused.json()["detail"]) == (409, True)
        assert (await given.ask("POST", f"jobs/{job.id}/abort")).json()["state"] == "interrupted"


async def test_a_run_that_is_not_there_is_told(given: Api) -> None:
    assert (await given.ask("GET", "accuracy")).json() == []
    answer = await given.ask("GET", "accuracy/20260101-000000-words")
    assert (answer.status_code, "no accuracy run" in answer.json()["detail"]) == (404, True)
    assert (await given.ask("GET", "accuracy/..")).status_code == 404
