"""What `labd status` says: of a job that is paused, of a lease, and of the sinks: whether they get through, why not, and what waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from labd.api.answers import BenchStatus
from labd.cli.queue import when
from labd.cli.status import lines, sink_line
from labd.client.generated.models.bench_status import BenchStatus as StatusThere
from tests.api.served import Api, api, scheduling, until_running


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path) as found:
        yield found


async def said_by(given: Api) -> list[str]:
    """With what its queue really says."""
    status: BenchStatus = replace(await given.bench.status(), queue=await given.services.queue.status())
    return lines(StatusThere.from_dict(asdict(status)))


async def test_a_job_that_is_asked_to_pause_is_told_until_it_goes_on(given: Api) -> None:
    async with scheduling(given):
        job = (await given.submit())["id"]
        await until_running(given, job)
        paused = f"job     {job}: paused, outputs off, once the capture under way has ended"
        assert paused not in await said_by(given)
        await given.ask("POST", f"jobs/{job}/pause")
        assert paused in await said_by(given)
        await given.ask("POST", f"jobs/{job}/resume")
        assert paused not in await said_by(given)


@pytest.mark.parametrize(("purpose", "what_for"), [("a new board", " for a new board"), ("", "")])
async def test_a_lease_is_told_with_its_end_and_what_for(given: Api, purpose: str, what_for: str) -> None:
    until_ns = 4_000_000_000 * 10**9
    await given.ask("POST", "lease", json={"until_ns": until_ns, "purpose": purpose})
    assert f"lease   local until {when(until_ns)}{what_for}" in await said_by(given)


INFLUX = {"connected": True, "server": "http://db:8086", "error": "", "alarm": "", "waiting": 0, "dropped": 0, "sent": 1200, "rejected": 0}


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (INFLUX, "connected to http://db:8086; 1200 sent"),
        (
            {**INFLUX, "connected": False, "error": "away: refused", "waiting": 7, "dropped": 3},
            "NOT connected to http://db:8086; away: refused; 7 wait, 1200 sent, 3 dropped before they could be sent",
        ),
        (
            {"connected": True, "broker": "mq:1883", "error": "", "waiting": 1, "rejected": 2, "remark": "an outbox was damaged"},
            "connected to mq:1883; 1 wait, 2 refused for good; an outbox was damaged",
        ),
        (
            {"connected": False, "url": "http://g:3000", "error": "", "sent": 0, "failed": 4, "lost_blocks": 5},
            "NOT connected to http://g:3000; 4 not sent, 5 blocks left out",
        ),
    ],
)
def test_a_sink_is_told_in_words(said: dict[str, Any], line: str) -> None:
    assert sink_line(said) == line
