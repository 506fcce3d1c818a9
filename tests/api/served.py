"""The API on a real socket with a real catalogue and queue; a bench, live frames and windows that say what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from labd import bench_file
from labd.analyse.worker import Worker
from labd.api.answers import BenchStatus, Footprint, PlanCheck
from labd.api.app import create_app
from labd.api.server import Tls, bound, serving
from labd.api.services import Access, Services
from labd.bench.control import RunControl
from labd.bench.finding import Finding
from labd.bench_file.cards import with_cards
from labd.config.document import Source
from labd.guard.wire import OffResult
from labd.influx.replay import Raw, Sent
from labd.live.view import LiveView
from labd.live.windows import Windows
from labd.queue.scheduler import QueueStatus, Scheduler
from labd.queue.steps import JobOutcome
from labd.resources import path as resource
from labd.search.use_case import use_case_of
from labd.store.jobs import JobRow, JobState
from labd.store.session import CatalogueSession
from labd.stream.feed import Feed
from labd.stream.hub import Hub
from labd.stream.news import News

PLAN_FILE = resource("fixtures") / "plans/demo.toml"
PLAN = with_cards(PLAN_FILE.read_text(encoding="utf-8"), PLAN_FILE)
SOON_S = 10.0


@dataclass(slots=True)
class FakeBench:
    said: list[str] = field(default_factory=list)
    sinks: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def status(self) -> BenchStatus:
        queue = QueueStatus(paused=False, why_paused="", waiting=0, job="", job_paused=False, lease=None)
        return BenchStatus(
            "demo", "", True, "", queue, None, self.sinks, (), "store", 10**9, 1.5, Footprint(10**8, 20, 5, 9), {"labd": "0"}
        )

    def effective(self) -> Mapping[str, Any]:
        return {"name": "demo"}

    async def off(self, who: str) -> Sequence[OffResult]:
        self.said.append(f"off by {who}")
        return [OffResult("smu", True, None, "off", 0.1, 1)]

    async def release(self, who: str) -> None:
        self.said.append(f"released by {who}")

    async def check(self, who: str) -> Sequence[Finding]:
        self.said.append(f"checked by {who}")
        return [Finding("smu", True, "it answers")]

    async def doctor(self) -> Sequence[Finding]:
        return [Finding("disk", True, "half full")]

    async def replay(self, run_id: str, raw: Raw | None) -> Sent:
        self.said.append(f"replayed {run_id} {raw}")
        return Sent(10, 0)

    async def search_check(self, text: str, platforms: Sequence[str]) -> str:
        return use_case_of(Source(Path("use case"), text, "")).name

    async def plan_check(self, text: str) -> PlanCheck:
        plan = bench_file.plan_of(text, Path("plan"))
        return PlanCheck(plan.name, (), 12.0)


@dataclass(slots=True)
class Api:
    """A served API. http: a client of it."""

    url: str
    services: Services
    bench: FakeBench
    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        return await self.http.request(method, f"/api/v1/{path}", **given)

    async def submit(self, **given: Any) -> dict[str, Any]:
        answer = await self.ask("POST", "jobs", json={"plan_text": PLAN, **given})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def _at_once(job: JobRow, control: RunControl) -> JobOutcome:
    await control.stop.wait()
    return JobOutcome(JobState.INTERRUPTED, "", control.reason)


@asynccontextmanager
async def api(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    access: Access | None = None,
    tls: Tls | None = None,
    page: Path | None = None,
    least_free: int = 0,
) -> AsyncIterator[Api]:
    news: Hub[News] = Hub()
    feed: Hub[Feed] = Hub()
    async with CatalogueSession(folder / "store") as catalogue, Worker() as worker, Windows() as windows:
        queue = Scheduler(catalogue, bench="demo", run=_at_once, news=news)
        bench = FakeBench()
        services = Services(catalogue, queue, worker, news, bench, LiveView(feed), windows, access or Access(), least_free)
        app = create_app(services) if page is None else create_app(services, page=page)
        async with serving(app, bound(host, 0), tls) as url:
            seen = url.replace("0.0.0.0", "127.0.0.1")
            async with httpx.AsyncClient(base_url=seen.rstrip("/"), verify=False, timeout=30) as http:
                yield Api(seen, services, bench, http)


@asynccontextmanager
async def scheduling(given: Api) -> AsyncIterator[None]:
    """Jobs run until they are aborted."""
    task = asyncio.create_task(given.services.queue.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def until_running(given: Api, job: str) -> None:
    """Told by the queue's news."""
    with given.services.news.subscribe("test", size=100) as news:
        async with asyncio.timeout(SOON_S):
            while (await given.ask("GET", f"jobs/{job}")).json()["state"] != "running":
                await anext(news)
