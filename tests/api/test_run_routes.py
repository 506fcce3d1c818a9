"""Stored runs over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import Message

from labd.api.app import create_app
from labd.api.routes.runs import resume
from labd.api.tokens import Bearer, Scope
from labd.errors import WrongState
from labd.store import archive
from labd.store.archive import TRANSFER
from labd.store.catalogue import Catalogue
from labd.store.jobs import JobRow, JobState
from labd.store.rows import NewRun, RunState
from labd.stream.session import WAITING_CALLS
from tests.analyse.stored_run import copy_of_a_run
from tests.api.served import PLAN, Api, api
from tests.store.held import held


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path) as found:
        yield found


async def test_a_run_is_deleted_with_its_traces_unless_it_goes_on(given: Api) -> None:
    catalogue = given.services.catalogue
    run = (await catalogue.do(lambda c: c.runs.create(NewRun("b", "", "p", ""), []))).id
    traces = catalogue.folder / "traces" / run
    traces.mkdir(parents=True)
    assert (await given.ask("DELETE", f"runs/{run}")).status_code == 409
    assert traces.exists()
    await catalogue.do(lambda c: c.runs.end(run, RunState.FINISHED))
    assert (await given.ask("DELETE", f"runs/{run}")).status_code == 204
    assert not traces.exists()
    assert (await given.ask("GET", f"runs/{run}")).status_code == 404


async def interrupted_run(given: Api, **about: Any) -> str:
    def made(catalogue: Catalogue) -> str:
        run = catalogue.runs.create(replace(NewRun("b", "", "rate sweep", PLAN), **about), [])
        catalogue.runs.end(run.id, RunState.INTERRUPTED)
        return run.id

    return await given.services.catalogue.do(made)


async def test_a_run_that_a_job_waits_to_go_on_with_is_not_deleted(given: Api) -> None:
    run = await interrupted_run(given)
    traces = given.services.catalogue.folder / "traces" / run
    traces.mkdir(parents=True)
    job = (await given.ask("POST", f"runs/{run}/resume")).json()["id"]
    refused = await given.ask("DELETE", f"runs/{run}")
    assert (refused.status_code, traces.exists()) == (409, True)
    assert refused.json()["detail"] == f"job {job} (queued) goes on with run {run}; `labd cancel {job}` first"
    await given.ask("DELETE", f"jobs/{job}")
    assert (await given.ask("DELETE", f"runs/{run}")).status_code == 204


async def test_a_run_that_a_job_under_way_is_to_go_on_with_is_not_deleted(given: Api) -> None:
    run = await interrupted_run(given)
    job = (await given.ask("POST", f"runs/{run}/resume")).json()["id"]
    await given.services.catalogue.do(lambda c: c.jobs.begin(job))
    refused = await given.ask("DELETE", f"runs/{run}")
    assert refused.status_code == 409
    assert refused.json()["detail"] == f"job {job} (running) goes on with run {run}; `labd abort {job}` first"
    assert (await given.ask("GET", f"runs/{run}")).status_code == 200


async def test_a_run_that_cannot_go_on_is_not_resumed(given: Api) -> None:
    catalogue = given.services.catalogue
    run = (await catalogue.do(lambda c: c.runs.create(NewRun("b", "", "rate sweep", PLAN), []))).id
    for state in ("running", "finished"):
        refused = await given.ask("POST", f"runs/{run}/resume")
        assert refused.status_code == 409
        assert refused.json()["detail"] == f"run {run} is {state}; only an interrupted or failed run can be resumed"
        if state == "running":
            await catalogue.do(lambda c: c.runs.end(run, RunState.FINISHED))
    assert (await given.ask("GET", "jobs")).json() == []


async def test_a_run_that_a_job_goes_on_with_is_not_resumed_again(given: Api) -> None:
    run = await interrupted_run(given)
    job = (await given.ask("POST", f"runs/{run}/resume")).json()["id"]
    refused = await given.ask("POST", f"runs/{run}/resume")
    assert (refused.status_code, refused.json()["detail"]) == (409, f"job {job} (queued) goes on with run {run} already")
    await given.services.catalogue.do(lambda c: c.jobs.begin(job))
    assert (await given.ask("POST", f"runs/{run}/resume")).status_code == 409
    assert [one["id"] for one in (await given.ask("GET", "jobs")).json()] == [job]


async def test_a_run_is_resumed_once_when_two_ask_at_once(given: Api) -> None:
    run = await interrupted_run(given)
    async with held(given.services.catalogue.do):
        asked = [asyncio.ensure_future(resume(run, given.services, Bearer("ann", Scope.CONTROL))) for _ in range(2)]
        await asyncio.sleep(0)  # both have begun before either has an answer
    made, refused = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(made, JobRow)
    assert isinstance(refused, WrongState)
    assert [one["id"] for one in (await given.ask("GET", "jobs")).json()] == [made.id]


async def test_a_run_is_resumed_with_the_settings_of_the_job_that_made_it_but_neither_its_start_nor_its_recurrence(given: Api) -> None:
    settings = {"priority": 7, "retries": 2, "after_failure": "stop", "attended": True, "note": "first board", "tags": ["keep"]}
    job = (await given.submit(**settings, recurrence="0 2 * * *", zone="Europe/Berlin"))["id"]
    await given.services.catalogue.do(lambda c: c.jobs.begin(job))
    run = await interrupted_run(given, job=job)
    await given.services.catalogue.do(lambda c: c.jobs.end(job, JobState.INTERRUPTED, run_id=run))
    again = (await given.ask("POST", f"runs/{run}/resume")).json()
    assert {name: again[name] for name in settings} == settings
    assert (again["run_id"], again["plan_text"], again["estimate_s"]) == (run, PLAN, 12.0)
    assert (again["recurrence"], again["zone"], again["not_before_ns"]) == ("", "", None)


async def gone_before_the_first_byte(app: FastAPI, path: str) -> None:
    """A client that asks and hangs up."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        raise OSError("nobody is there")

    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}
    with pytest.raises(ClientDisconnect):
        await app(scope | {"asgi": {"spec_version": "2.4"}, "http_version": "1.1", "scheme": "http"}, receive, send)


@pytest.fixture
async def stored(tmp_path: Path) -> AsyncIterator[tuple[Api, str]]:
    """With a run that has been measured."""
    run = copy_of_a_run(tmp_path / "store")
    async with api(tmp_path) as found:
        yield found, run


async def test_a_run_goes_out_and_comes_in_and_leaves_nothing_in_between(stored: tuple[Api, str], tmp_path: Path) -> None:
    given, run = stored
    content = (await given.ask("GET", f"runs/{run}/archive")).content
    assert list((given.services.catalogue.folder / TRANSFER).iterdir()) == []
    (tmp_path / "run.zip").write_bytes(content)
    with Catalogue.open(tmp_path / "other"):
        assert archive.read(tmp_path / "run.zip", tmp_path / "other") == run
    await given.ask("DELETE", f"runs/{run}")
    headers = {"content-type": "application/zip"}
    assert (await given.ask("POST", "runs/import", content=content, headers=headers)).json() == {"run": run}
    assert list((given.services.catalogue.folder / TRANSFER).iterdir()) == []


async def test_an_archive_that_nobody_fetches_leaves_nothing_behind(stored: tuple[Api, str]) -> None:
    given, run = stored
    await gone_before_the_first_byte(create_app(given.services), f"/api/v1/runs/{run}/archive")
    assert list((given.services.catalogue.folder / TRANSFER).iterdir()) == []


async def test_no_transfer_takes_the_space_that_is_to_stay_free(tmp_path: Path) -> None:
    run = copy_of_a_run(tmp_path / "store")
    async with api(tmp_path, least_free=10**18) as given:
        folder = given.services.catalogue.folder
        out = await given.ask("GET", f"runs/{run}/archive")
        archive.write(folder, run, tmp_path / "run.zip")
        content = (tmp_path / "run.zip").read_bytes()
        back = await given.ask("POST", "runs/import", content=content, headers={"content-type": "application/zip"})
        assert (out.status_code, back.status_code) == (409, 409)
        assert "the archive needs" in out.json()["detail"]
        assert "the import needs" in back.json()["detail"]
        assert list((folder / TRANSFER).iterdir()) == []


def nothing(_: Catalogue) -> None:
    return None


@pytest.mark.parametrize("path", ["runs", "jobs", "lease"])
async def test_what_is_listed_does_not_wait_for_what_is_written(given: Api, path: str) -> None:
    async with held(given.services.catalogue.do):
        assert (await given.ask("GET", path)).status_code == 200


async def test_more_readers_than_may_wait_are_told_to_come_again_and_the_queue_takes_plans_all_the_same(given: Api) -> None:
    catalogue = given.services.catalogue
    async with held(catalogue.read):
        waiting = [asyncio.ensure_future(catalogue.read(nothing)) for _ in range(WAITING_CALLS)]
        await asyncio.sleep(0)
        answer = await given.ask("GET", "runs")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "too much is read" in answer.json()["detail"]
        assert (await given.submit())["state"] == "queued"
    await asyncio.gather(*waiting)
    assert (await given.ask("GET", "runs")).json() == []


async def test_a_run_is_replayed_whole_or_a_window_of_its_samples(tmp_path: Path) -> None:
    async with api(tmp_path) as given:
        whole = await given.ask("POST", "runs/latest/replay")
        assert whole.json() == {"points": 10, "rejected": 0}
        await given.ask("POST", "runs/latest/replay", json={"capture": 3, "from_s": 0.2, "until_s": 0.25})
        wrong = await given.ask("POST", "runs/latest/replay", json={"capture": -1})
        assert wrong.status_code == 422
        assert given.bench.said == ["replayed latest None", "replayed latest Raw(order=3, stretch=0, from_s=0.2, to_s=0.25)"]
