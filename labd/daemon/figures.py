"""Figures and phases of a run as its captures finish: provisional until the analysis at its end replaces them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from labd.bench.expand import CapturePlan
from labd.bench.journal import Journal
from labd.daemon.around import Surroundings
from labd.errors import LabdError
from labd.store.catalogue import Catalogue
from labd.stream.news import NewsKind

PROVISIONAL = "provisional: the run is not finished"

log = logging.getLogger(__name__)


@asynccontextmanager
async def figures_as_they_come(around: Surroundings, journal: Journal, run_id: str) -> AsyncIterator[Callable[[CapturePlan], None]]:
    """Yields what to call when a capture is stored. Captures that finish while figures are computed are taken together."""
    finished = asyncio.Event()

    async def follow() -> None:
        told = False
        while True:
            await finished.wait()
            finished.clear()
            try:
                warning = await _figures(around, journal, run_id)
                if warning and not told:  # its numbers change with every capture; once is enough for who watches
                    told = True
                    journal.show(NewsKind.NOTICE, warning)  # the report finds it anew, of all captures
            except LabdError as error:  # figures on the way are a service; the analysis at the end says what is wrong
                log.warning("run %s: no figures so far: %s", run_id, error)

    task = asyncio.create_task(follow(), name="figures so far")
    try:
        yield lambda _plan: finished.set()
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def _figures(around: Surroundings, journal: Journal, run_id: str) -> str:
    """Returns what a user should know now rather than at the end of the run; empty for nothing."""
    found = await around.worker.figures_so_far(around.catalogue.folder, run_id)
    records = [replace(record, flags=(*record.flags, PROVISIONAL)) for record in found.records]

    def put(catalogue: Catalogue) -> None:
        catalogue.kpis.put(run_id, records)
        for key, windows in found.windows.items():
            catalogue.captures.put_windows(run_id, key, windows)

    await around.catalogue.do(put)
    journal.show(NewsKind.KPIS, f"{len(records)} figures so far", count=len(records), final=False)
    return found.warning
