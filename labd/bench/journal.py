"""Tells what happens in a run: into the catalogue's log first, then to whoever watches."""

from __future__ import annotations

import time
from functools import partial

from labd.records import Event
from labd.store.catalogue import Catalogue
from labd.store.session import CatalogueSession
from labd.stream.hub import Hub
from labd.stream.news import News, NewsKind


class Journal:
    """Of one run. Every event is in the catalogue before anybody hears of it."""

    def __init__(self, catalogue: CatalogueSession, news: Hub[News], run_id: str, *, job: str = "") -> None:
        self._catalogue = catalogue
        self._news = news
        self._run_id = run_id
        self._job = job
        self._noticed: set[str] = set()

    async def tell(self, kind: NewsKind, text: str = "", *, capture: str = "", **data: object) -> None:
        """An event of the run. data: JSON data for those who watch; the log keeps the text. Raises StoreError."""
        event = Event(time.time_ns(), kind, text, capture)
        await self._catalogue.do(partial(_log, self._run_id, event))
        self._publish(event.t_ns, kind, text, capture=capture, data=data)

    async def notice(self, *texts: str) -> None:
        """What a reader of the run must know; each once a run."""
        for text in texts:
            if text not in self._noticed:
                self._noticed.add(text)
                await self.tell(NewsKind.NOTICE, text)

    def show(self, kind: NewsKind, text: str = "", *, capture: str = "", **data: object) -> None:
        """For those who watch only."""
        self._publish(time.time_ns(), kind, text, capture=capture, data=data)

    def _publish(self, t_ns: int, kind: NewsKind, text: str, *, capture: str, data: dict[str, object]) -> None:
        self._news.publish(News(t_ns, kind, text, run=self._run_id, capture=capture, job=self._job, data=data))


def _log(run_id: str, event: Event, catalogue: Catalogue) -> None:
    catalogue.runs.log(run_id, event)
