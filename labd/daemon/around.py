"""What a run finds around it: where to store, who computes, who listens, who guards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from labd.analyse.worker import Worker
from labd.guard.link import GuardLink
from labd.store.session import CatalogueSession
from labd.stream.feed import Feed
from labd.stream.hub import Hub
from labd.stream.news import News


@dataclass(frozen=True, slots=True)
class Surroundings:
    """guard None: a bench that nothing has to be guarded on (all virtual: it ends with its process)."""

    catalogue: CatalogueSession
    worker: Worker
    guard: GuardLink | None = None
    feed: Hub[Feed] = field(default_factory=Hub)
    news: Hub[News] = field(default_factory=Hub)


@asynccontextmanager
async def surroundings(store: Path | None, guard: GuardLink | None = None) -> AsyncIterator[Surroundings]:
    """Without a daemon: for one run, or one check, of a command. Raises StoreError."""
    async with AsyncExitStack() as stack:
        catalogue = await stack.enter_async_context(CatalogueSession(store))
        worker = await stack.enter_async_context(Worker())
        yield Surroundings(catalogue, worker, guard)
