"""`labd serve`: one daemon, one bench, for weeks. Sinks start first and sources last; on the way out sources end and the rest drains.

store -> worker -> live view -> guard -> InfluxDB, Grafana Live, MQTT -> HTTP -> scheduler
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from labd import logs, systemd
from labd.analyse.worker import Worker
from labd.api.app import create_app
from labd.api.gate import refuse_unguarded
from labd.api.server import Tls, bound, check_tls, serving
from labd.api.services import Access, Services
from labd.api.tokens import refuse_powerless
from labd.bench_file import Bench
from labd.bench_file.server import ServerSection, from_here
from labd.daemon.around import Surroundings
from labd.daemon.bench_state import BenchState
from labd.daemon.component import component
from labd.daemon.guarding import journal_of, kept_guard, report_incidents
from labd.daemon.housekeeping import housekeeping
from labd.daemon.jobs import BenchUse
from labd.daemon.opened import load_bench, open_bench, sole_use
from labd.daemon.place import Place, forget_place, tell_place
from labd.daemon.sinks import sinks_of
from labd.errors import LabdError, OutputNotVerifiedOff
from labd.live.view import LiveView
from labd.live.windows import Windows
from labd.loop_watch import watched_loop
from labd.queue.scheduler import Scheduler
from labd.store.lock import store_lock
from labd.store.session import CatalogueSession
from labd.stream.feed import Feed
from labd.stream.hub import Hub
from labd.stream.news import News

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What the command line may say in place of the bench file. store None: the user's data folder."""

    bench: Path
    store: Path | None = None
    host: str | None = None
    port: int | None = None


async def serve(options: ServeOptions, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Until `stop` is set. ready: told the URL when requests are answered. Raises LabdError for what keeps it from starting."""
    bench = load_bench(options.bench)
    section = _section(bench, options)
    access, tls = _access(bench, section)
    with logs.about(bench=bench.name), watched_loop():
        async with AsyncExitStack() as stack:
            end = bound(section.host, section.port)
            stack.callback(end.close)
            catalogue = await stack.enter_async_context(CatalogueSession(options.store))
            stack.enter_context(store_lock(catalogue.folder, bench.name))
            stack.enter_context(sole_use(bench, catalogue.folder))
            worker = await stack.enter_async_context(Worker())
            feed: Hub[Feed] = Hub()
            news: Hub[News] = Hub()
            view = LiveView(feed)
            await stack.enter_async_context(component(view.run(), "live view"))
            windows = await stack.enter_async_context(Windows())
            guard = await stack.enter_async_context(kept_guard(bench, news))
            around = Surroundings(catalogue, worker, guard, feed, news)
            use = BenchUse(options.bench, around)
            scheduler = Scheduler(catalogue, bench=bench.name, run=use.run, news=news)
            state = BenchState(bench, around, use, scheduler)
            use.alarm = state.not_off
            for name, sink in sinks_of(state, around, access.tokens).items():
                state.sinks[name] = sink
                await stack.enter_async_context(component(sink.run(), name))
            services = Services(catalogue, scheduler, worker, news, state, view, windows, access, bench.storage.least_free)
            url = await stack.enter_async_context(serving(create_app(services), end, tls))
            place = Place(from_here(url), str(tls.certificate.absolute()) if tls else "", bench.name, os.getpid())
            await catalogue.do(lambda c: tell_place(c.folder, place))
            stack.push_async_callback(partial(_forget, catalogue))
            await report_incidents(journal_of(bench), catalogue, news, bench.name)
            await all_off(bench, state)
            await stack.enter_async_context(component(housekeeping(catalogue, bench.storage), "housekeeping"))
            await stack.enter_async_context(component(systemd.keep_alive(), "systemd"))
            await stack.enter_async_context(component(scheduler.run(), "scheduler"))
            systemd.notify("READY=1", f"STATUS=serving {bench.name} at {url}")
            log.info("serving %s at %s", bench.name, url)
            ready(url)
            await stop.wait()
            systemd.notify("STOPPING=1")
            log.info("stopping")


def _section(bench: Bench, options: ServeOptions) -> ServerSection:
    given = {"host": options.host, "port": options.port}
    return bench.server.model_copy(update={name: value for name, value in given.items() if value is not None})


def _access(bench: Bench, section: ServerSection) -> tuple[Access, Tls | None]:
    """Raises FileError for a server that would be open to others or to nobody, and for TLS files that do not fit."""
    folder = bench.path.parent
    tls = Tls(folder / section.tls_certificate, folder / section.tls_key) if section.tls_certificate and section.tls_key else None
    tokens = folder / section.tokens if section.tokens else None
    refuse_unguarded(section.host, on_loopback=section.on_loopback, tokens=tokens, tls=tls is not None)
    if tls is not None:
        check_tls(tls)
    if tokens is not None:
        refuse_powerless(tokens)
    return Access(tokens, rate_limit=section.rate_limit, largest_body=section.largest_body), tls


async def all_off(bench: Bench, state: BenchState) -> None:
    """A bench that a power cut of this machine left on is switched off before anything else; an instrument that is away is told.

    One that cannot be verified off pauses the queue, as it does after a job.
    """
    if bench.is_virtual:
        return
    try:
        async with state.use.used_by("the start of the daemon"), open_bench(bench):
            log.info("every output is off")
    except OutputNotVerifiedOff:
        return  # whoever uses the bench has told it
    except LabdError as error:
        state.alarm(f"the bench could not be opened at the start: {error}")


async def _forget(catalogue: CatalogueSession) -> None:
    with contextlib.suppress(LabdError):
        await catalogue.do(lambda c: forget_place(c.folder))
