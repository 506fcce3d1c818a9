"""What a daemon refuses is for its user the error that it was in the daemon, with the same exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from labd.api.services import Access
from labd.api.tokens import Scope, make_token
from labd.client.connection import Connection, Target, answer
from labd.client.generated.api.bench import bench_off, status
from labd.client.generated.api.queue import abort_job, cancel_job, get_job, pause_job, take_lease
from labd.client.generated.models.abort_body import AbortBody
from labd.client.generated.models.lease_body import LeaseBody
from labd.errors import FileError, LabdError, NotAllowed, NotFound, WrongState
from tests.api.served import Api, api

NO_JOB = "j00000000"


async def refused(given: Api, ask: Callable[[Connection], Any], *, token: str = "") -> LabdError:
    """In a thread: the client is synchronous."""

    def asked() -> Any:
        with Connection(Target(given.url, token)) as daemon:
            return ask(daemon)

    with pytest.raises(LabdError) as found:
        await asyncio.to_thread(asked)
    return found.value


def pause(job: str, daemon: Connection) -> object:
    return answer(pause_job.sync_detailed(job, client=daemon.client))


def abort(job: str, daemon: Connection) -> object:
    return answer(abort_job.sync_detailed(job, client=daemon.client, body=AbortBody()))


async def test_what_a_job_or_the_bench_is_not_in_a_state_for_is_a_wrong_state(tmp_path: Path) -> None:
    async with api(tmp_path) as given:
        job = (await given.submit())["id"]
        for ask in (pause, abort):
            error = await refused(given, partial(ask, job))
            assert isinstance(error, WrongState)
            assert str(error) == f"job {job} is queued, it does not run now; `labd cancel {job}` takes it out of the queue"
        await given.ask("DELETE", f"jobs/{job}")
        error = await refused(given, lambda daemon: answer(cancel_job.sync_detailed(job, client=daemon.client)))
        assert isinstance(error, WrongState)
        await given.services.queue.take_lease("ann", 2**62, "")
        body = LeaseBody(until_ns=2**62)
        error = await refused(given, lambda daemon: answer(take_lease.sync_detailed(client=daemon.client, body=body)))
        assert isinstance(error, WrongState)
        assert "reserved by ann" in str(error)


async def test_a_job_that_is_not_there_is_not_found_and_what_is_no_jobs_id_is_said(tmp_path: Path) -> None:
    async with api(tmp_path) as given:
        assert isinstance(await refused(given, partial(abort, NO_JOB)), NotFound)
        error = await refused(given, lambda daemon: answer(get_job.sync_detailed("7", client=daemon.client)))
        assert isinstance(error, FileError)
        assert error.problems == ("path.job_id: a job's id looks like j0a1b2c3d",)


async def test_no_token_an_unknown_one_and_one_that_may_only_read_are_not_allowed(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    read = make_token(tokens, "bob", Scope.READ)
    async with api(tmp_path, access=Access(tokens)) as given:
        for token in ("", "labd_nobodys"):
            error = await refused(given, lambda daemon: answer(status.sync_detailed(client=daemon.client)), token=token)
            assert isinstance(error, NotAllowed)
            assert "LABD_TOKEN" in str(error)

        def watch(daemon: Connection) -> None:
            with daemon.news() as news:
                next(news)

        assert isinstance(await refused(given, watch), NotAllowed)
        error = await refused(given, lambda daemon: answer(bench_off.sync_detailed(client=daemon.client)), token=read)
        assert isinstance(error, NotAllowed)
        assert "'bob' may read" in str(error)


async def test_too_many_requests_are_a_state_that_passes(tmp_path: Path) -> None:
    async with api(tmp_path, access=Access(rate_limit=1)) as given:
        while (await given.ask("GET", "health")).status_code != 429:
            pass
        assert isinstance(await refused(given, lambda daemon: answer(status.sync_detailed(client=daemon.client))), WrongState)
