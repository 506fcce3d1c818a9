"""The queue over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from labd.store.catalogue import Catalogue
from labd.store.rows import NewRun, RunState
from tests.api.served import PLAN, Api, api, scheduling, until_running

RENAMED = PLAN.replace('"rate sweep"', '"night sweep"')


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path) as found:
        yield found


async def names(given: Api) -> list[str]:
    return [job["plan_name"] for job in (await given.ask("GET", "jobs")).json()]


async def test_a_plan_is_submitted_with_its_name_an_estimate_and_who_it_is_from(given: Api) -> None:
    job = await given.submit(note="first board", tags=["keep"])
    assert (job["plan_name"], job["state"], job["submitted_by"], job["estimate_s"]) == ("rate sweep", "queued", "local", 12.0)
    assert (await given.ask("GET", f"jobs/{job['id']}")).json() == job


async def test_a_plan_that_is_wrong_is_refused_with_every_problem(given: Api) -> None:
    answer = await given.ask("POST", "jobs", json={"plan_text": "schema = 1\nname = 'x'\nmodes = []\n"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problems = answer.json()["problems"]
    assert len(problems) > 1
    assert any("plan: modes" in line for line in problems)


async def test_jobs_are_ordered_edited_and_cancelled(given: Api) -> None:
    ids = {name: (await given.submit(plan_name=name))["id"] for name in ("a", "b", "c")}
    assert (await given.ask("POST", f"jobs/{ids['c']}/move", json={"where": "first"})).status_code == 200
    assert await names(given) == ["c", "a", "b"]
    await given.ask("POST", f"jobs/{ids['a']}/move", json={"where": "after", "other": ids["b"]})
    await given.ask("POST", f"jobs/{ids['b']}/run-now")
    assert await names(given) == ["b", "c", "a"]
    edited = (await given.ask("PATCH", f"jobs/{ids['a']}", json={"priority": 7, "tags": ["x"]})).json()
    assert (edited["priority"], edited["tags"], edited["note"]) == (7, ["x"], "")
    assert (await given.ask("DELETE", f"jobs/{ids['c']}")).json()["state"] == "cancelled"
    again = await given.ask("DELETE", f"jobs/{ids['c']}")
    assert again.status_code == 409
    assert "is cancelled" in again.json()["detail"]


async def test_a_job_that_is_given_another_plan_takes_its_name(given: Api) -> None:
    job = (await given.submit())["id"]
    edited = (await given.ask("PATCH", f"jobs/{job}", json={"plan_text": RENAMED})).json()
    assert (edited["plan_name"], edited["plan_text"]) == ("night sweep", RENAMED)


async def test_the_plan_of_a_job_that_goes_on_with_a_run_stays_and_the_rest_is_edited(given: Api) -> None:
    def interrupted(catalogue: Catalogue) -> str:
        run = catalogue.runs.create(NewRun("demo", "", "rate sweep", PLAN), [])
        catalogue.runs.end(run.id, RunState.INTERRUPTED)
        return run.id

    run = await given.services.catalogue.do(interrupted)
    job = (await given.ask("POST", f"runs/{run}/resume")).json()
    refused = await given.ask("PATCH", f"jobs/{job['id']}", json={"plan_text": RENAMED, "priority": 7})
    assert refused.status_code == 409
    assert f"goes on with run {run}, so plan_text cannot be changed; `labd cancel {job['id']}`" in refused.json()["detail"]
    assert (await given.ask("GET", f"jobs/{job['id']}")).json() == job
    assert (await given.ask("PATCH", f"jobs/{job['id']}", json={"priority": 7})).json()["priority"] == 7


async def test_a_running_job_is_paused_resumed_and_aborted(given: Api) -> None:
    async with scheduling(given):
        job = await given.submit()
        await until_running(given, job["id"])
        assert (await given.ask("POST", f"jobs/{job['id']}/pause")).json()["state"] == "paused"
        assert (await given.ask("POST", f"jobs/{job['id']}/resume")).json()["state"] == "running"
        ended = (await given.ask("POST", f"jobs/{job['id']}/abort", json={"why": "the board smells"})).json()
        assert (ended["state"], ended["error"]) == ("interrupted", "the board smells (local)")


async def test_a_lease_names_its_holder_and_is_given_back(given: Api) -> None:
    until_ns = 2**62
    assert (await given.ask("GET", "lease")).json() is None
    assert (await given.ask("POST", "lease", json={"until_ns": until_ns, "purpose": "a new board"})).json()["who"] == "local"
    assert (await given.ask("GET", "lease")).json()["purpose"] == "a new board"
    assert (await given.ask("DELETE", "lease")).status_code == 204
    assert (await given.ask("GET", "lease")).json() is None


async def test_a_recurrence_without_a_zone_is_refused(given: Api) -> None:
    answer = await given.ask("POST", "jobs", json={"plan_text": "x", "recurrence": "0 2 * * *"})
    assert answer.status_code == 422


async def test_the_emergency_stop_says_who_and_what(given: Api) -> None:
    (source,) = (await given.ask("POST", "bench/off")).json()
    assert (source["source"], source["off"]) == ("smu", True)
    assert (await given.ask("POST", "queue/resume")).status_code == 204
    assert given.bench.said == ["off by local", "released by local"]
