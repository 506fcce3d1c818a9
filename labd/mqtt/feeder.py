"""From the catalogue into the outbox: each event once, and the figures of a run that has ended."""

from __future__ import annotations

import time
from functools import partial

from labd.mqtt import messages
from labd.mqtt.messages import Topics
from labd.outbox.contract import Message, Outbox
from labd.outbox.session import OutboxSession
from labd.store.catalogue import Catalogue
from labd.store.session import CatalogueSession
from labd.stream.news import NewsKind

BATCH = 100
SOURCE = "events"


class Feeder:
    """Of one bench: a store may hold runs of others, taken in from archives for instance, and those are not told here."""

    def __init__(self, topics: Topics, bench: str, catalogue: CatalogueSession, outbox: OutboxSession) -> None:
        self._topics = topics
        self._bench = bench
        self._catalogue = catalogue
        self._outbox = outbox

    async def some(self) -> bool:
        """A batch of what has not been told; False when there is no more. Raises StoreError."""
        after = await self._outbox.do(lambda outbox: outbox.cursor(SOURCE))
        told, last = await self._catalogue.do(partial(self._after, after))
        if last == after:
            return False
        await self._outbox.change(partial(_put, told, after, last))
        return True

    def _after(self, after: int, catalogue: Catalogue) -> tuple[list[Message], int]:
        events = catalogue.runs.events_after(after, limit=BATCH)
        here = {run_id for run_id in {one.run_id for one in events} if catalogue.runs.get(run_id).bench_name == self._bench}
        told = [one for one in events if one.run_id in here]
        ended = dict.fromkeys(one.run_id for one in told if one.event.kind == NewsKind.RUN_ENDED)
        figures = [
            messages.kpi(self._topics, run_id, record, t_ns=time.time_ns()) for run_id in ended for record in catalogue.kpis.of(run_id)
        ]
        return [*(messages.event(self._topics, one) for one in told), *figures], events[-1].id if events else after


def _put(told: list[Message], after: int, last: int, outbox: Outbox) -> None:
    """Nothing where the outbox was begun anew since `after` was read: its place is another one now."""
    if outbox.cursor(SOURCE) == after:
        outbox.put(told, source=SOURCE, cursor=last)
