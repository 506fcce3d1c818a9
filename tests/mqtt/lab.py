"""A sink with what it publishes from, and what tests ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from labd.mqtt.section import MqttSection
from labd.mqtt.sink import Handler, MqttSink
from labd.records import Event
from labd.store.rows import NewRun, StoredEvent
from labd.store.session import CatalogueSession
from labd.stream.feed import Feed
from labd.stream.hub import Hub
from labd.stream.news import News, NewsKind
from tests.mqtt.broker import SOON_S


class Lab:
    """A sink with what it publishes from."""

    def __init__(self, catalogue: CatalogueSession, port: int, command: Handler | None = None, **section: Any) -> None:
        self.catalogue = catalogue
        self.news: Hub[News] = Hub()
        self.feed: Hub[Feed] = Hub()
        table = MqttSection.model_validate({"host": "127.0.0.1", "port": port, "statistics_interval": "20 ms", **section})
        self.sink = MqttSink(table, "Bench 1", folder=Path(), catalogue=catalogue, news=self.news, feed=self.feed, command=command)

    async def begin(self, bench: str = "Bench 1") -> str:
        return (await self.catalogue.do(lambda c: c.runs.create(NewRun(bench, "", "plan", ""), []))).id

    async def log(self, run_id: str, kind: NewsKind, text: str, t_ns: int = 1_795_444_200_000_000_000) -> None:
        await self.catalogue.do(lambda c: c.runs.log(run_id, Event(t_ns, kind, text, "")))
        self.news.publish(News(t_ns, kind, text, run=run_id))

    async def stored(self) -> list[StoredEvent]:
        return await self.catalogue.do(lambda c: c.runs.events_after(0, limit=10_000))


@asynccontextmanager
async def lab(folder: Path, port: int, command: Handler | None = None, **section: Any) -> AsyncIterator[Lab]:
    async with CatalogueSession(folder / "store") as catalogue:
        found = Lab(catalogue, port, command, **section)
        task = asyncio.create_task(found.sink.run())
        try:
            yield found
        finally:
            task.cancel()
            (ended,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError), ended  # nothing else ends a sink


async def until(seen: Callable[[], bool]) -> None:
    """The sink tells nobody when its status changes."""
    async with asyncio.timeout(SOON_S):
        while not seen():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def as_told(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Each event once, in the order in which they first came (at least once means that one may come twice)."""
    seen = {(one["run"], one["n"]): (one["run"], one["n"], one["t_ns"], one["kind"], one["text"], one["capture"]) for one in events}
    return list(seen.values())


def as_stored(events: list[StoredEvent]) -> list[tuple[Any, ...]]:
    return [(one.run_id, one.n, one.event.t_ns, one.event.kind, one.event.text, one.event.capture) for one in events]
