"""Runs on a virtual bench in stepped time that a test pauses, aborts, disturbs and looks at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labd import bench_file
from labd.analyse.worker import Worker
from labd.bench.control import RunControl
from labd.bench.virtual import Addresses, ControlChannel, virtual_bench
from labd.daemon import opened
from labd.daemon.around import Surroundings
from labd.daemon.opened import load_bench
from labd.daemon.run import RunOutcome, RunRequest, run
from labd.store.rows import CaptureRow, RunRow
from labd.store.session import CatalogueSession
from labd.stream.news import News, NewsKind
from labd_instruments import loader
from tests.bench.whole_run import FIXTURES
from tests.cli.bench_apart import write_plan

NEWS_S = 30.0


@dataclass(slots=True)
class Bench:
    """What stands beside a run: its surroundings, the news it tells, a probe on its board and its instruments."""

    around: Surroundings
    folder: Path
    news: list[News] = field(default_factory=list)
    probe: ControlChannel | None = None
    acts: dict[NewsKind, Callable[[News], None]] = field(default_factory=dict)

    def request(self, **changes: Any) -> RunRequest:
        path = write_plan(self.folder / "plan.toml", floor_time="1 s")
        return RunRequest(load_bench(FIXTURES / "benches/demo.toml"), bench_file.load_plan(path), **changes)

    async def run(self, request: RunRequest, control: RunControl | None = None) -> RunOutcome:
        return await asyncio.wait_for(run(request, self.around, control or RunControl()), timeout=60)

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.probe is not None
        return self.probe.ask(**request)

    def kinds(self) -> list[NewsKind]:
        return [news.kind for news in self.news]

    async def until(self, kind: NewsKind) -> News:
        """The first news of a kind."""
        async with asyncio.timeout(NEWS_S):
            while True:
                found = next((news for news in self.news if news.kind is kind), None)
                if found is not None:
                    return found
                await asyncio.sleep(0.001)

    async def stored(self) -> tuple[RunRow, list[CaptureRow]]:
        (row,) = await self.around.catalogue.do(lambda catalogue: catalogue.runs.newest(limit=1))
        return row, await self.around.catalogue.do(lambda catalogue: catalogue.captures.of(row.id))


@asynccontextmanager
async def commanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """acts: what a test does at the first news of a kind, in the moment it is told."""
    await asyncio.to_thread(loader.available)  # loading every driver takes longer than a loop may be kept waiting
    async with CatalogueSession(folder / "store") as catalogue, Worker() as worker:
        bench = Bench(Surroundings(catalogue, worker), folder)

        @asynccontextmanager
        async def watched(spec: Mapping[str, Any]) -> AsyncIterator[Addresses]:
            async with virtual_bench(spec, arguments=("--truth", str(folder / "truth.jsonl"))) as addresses:
                bench.probe = ControlChannel(addresses.control)
                try:
                    yield addresses
                finally:
                    bench.probe.close()

        publish = bench.around.news.publish

        def heard(news: News) -> None:
            publish(news)
            bench.news.append(news)
            act = bench.acts.pop(news.kind, None)
            if act is not None:
                act(news)

        monkeypatch.setattr(bench.around.news, "publish", heard)
        monkeypatch.setattr(opened, "virtual_bench", watched)
        yield bench
