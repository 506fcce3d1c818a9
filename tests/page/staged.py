"""A daemon that says what a test wants it to say: the page's files and the API, answered in the browser's own network, without a server.

What it says is made of the API's own records and frames, so that it cannot drift from what a real one sends; a real one is in
test_live_page.py.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from playwright.async_api import Page, Route, WebSocketRoute, async_playwright

from labd.api.answers import BenchStatus, Footprint
from labd.api.app import PAGE, PREFIX
from labd.live.envelope import Band, Piece
from labd.live.frame import LIVE, WINDOW, encode
from labd.live.view import HEARTBEAT_S
from labd.live.windows import Between, Stretch
from labd.queue.scheduler import QueueStatus
from labd.stream.news import News, NewsKind
from tests.page.chromium import ARGUMENTS, CHROMIUM

SITE = "http://labd.test"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
RUN = "20260101-000000-staged-0001"
BUCKET_S = 1e-3
VOLTS = 3.0

Answer = Callable[[Mapping[str, str]], Any]


def quiet_bench() -> BenchStatus:
    queue = QueueStatus(paused=False, why_paused="", waiting=0, job="", job_paused=False, lease=None)
    return BenchStatus(
        bench="staged",
        description="",
        virtual=False,
        in_use_by="",
        queue=queue,
        guard=True,
        sinks={},
        alarms=(),
        store="/store",
        free_bytes=1,
        uptime_s=1.0,
        process=Footprint(1, 1, 1, 1),
        versions={},
    )


def piece(
    stretch: int = 0, *, first_s: float = 0.0, seconds: float, begins_s: float = 0.0, trigger: bool = False, amps: float = 1e-3
) -> Piece:
    """Buckets of a millisecond, each of a hundred samples. first_s: from the beginning of the stretch; begins_s: the stretch itself."""
    count, first = round(seconds / BUCKET_S), round(first_s / BUCKET_S)
    t0_ns = round((begins_s + first * BUCKET_S) * 1e9)
    return Piece(stretch, trigger, 100 * first, 100, t0_ns, round(BUCKET_S * 1e9), count, bands_of(np.full(count, amps, np.float32)))


def bands_of(amps: Any) -> dict[str, Band]:
    values = {"current": amps, "voltage": np.full_like(amps, VOLTS), "power": amps * np.float32(VOLTS)}
    return {name: Band(column, column, column) for name, column in values.items()}


@dataclass
class StagedDaemon:
    """answers: by "METHOD path" under the API's prefix; a callable gets the query. asked: what the page asked for, in order."""

    page: Page
    status: BenchStatus = field(default_factory=quiet_bench)
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    live: list[WebSocketRoute] = field(default_factory=list)
    told: list[WebSocketRoute] = field(default_factory=list)
    first: list[bytes] | None = None  # what a viewer gets at once; None: one frame without samples
    silent: bool = False  # no frame comes by itself: a daemon that is stopped
    hung: list[Route] = field(default_factory=list)
    n: int = 0

    async def beat(self) -> None:
        """A frame without samples once a second, as a daemon sends them, for ever."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if self.live and not self.silent:
                self.send()

    async def open(self) -> None:
        await self.page.route(f"{SITE}/**", self._answer)
        await self.page.route_web_socket(f"{SITE.replace('http', 'ws')}{PREFIX}/live", self._watch)
        await self.page.route_web_socket(f"{SITE.replace('http', 'ws')}{PREFIX}/news", self._hear)
        await self.page.goto(f"{SITE}/")
        await self.page.get_by_test_id("pause").wait_for()

    def say(self, kind: NewsKind, text: str, **data: Any) -> None:
        self.told[-1].send(json.dumps({**asdict(News(time.time_ns(), kind, text, data=data)), "lost": 0}))

    def send(self, *pieces: Piece, **header: Any) -> None:
        self.n += 1
        self.live[-1].send(self.frame(*pieces, **header))

    def frame(self, *pieces: Piece, **header: Any) -> bytes:
        return encode(LIVE, {"n": self.n, "t_ns": time.time_ns(), "lost_blocks": 0, "newest_t_ns": None, **header}, pieces)

    def start(self, order: int = 0) -> dict[str, Any]:
        """What a frame says of the capture that begins."""
        names = {"run": RUN, "capture": f"capture {order}", "order": order, "instrument": "meter", "role": "floor", "point": "p"}
        return {"start": {**names, "dt_ns": 10_000, "t_ns": time.time_ns()}}

    def store(self, order: int, stretches: Sequence[Stretch], amps: Callable[[int], float] = lambda stretch: 1e-3) -> None:
        """The samples of a capture, constant in each stretch."""
        place = f"GET /runs/{RUN}/captures/{order}"

        def window(query: Mapping[str, str]) -> bytes:
            at, start, stop, points = (int(query[name]) for name in ("stretch", "start", "stop", "points"))
            stretch = stretches[at]
            per_bucket = max(1, -(-(stop - start) // points))
            first = start // per_bucket * per_bucket
            count = -(-(stop - first) // per_bucket)
            t0_ns, dt_ns = stretch.t0_ns + first * stretch.dt_ns, per_bucket * stretch.dt_ns
            bands = bands_of(np.full(count, amps(at), np.float32))
            return encode(WINDOW, {}, (Piece(at, stretch.trigger, first, per_bucket, t0_ns, dt_ns, count, bands),))

        def energy(query: Mapping[str, str]) -> Between:
            at, start, stop = (int(query[name]) for name in ("stretch", "start", "stop"))
            seconds = (stop - start) * stretches[at].dt_ns * 1e-9
            return Between(seconds, amps(at) * seconds, VOLTS * amps(at) * seconds, amps(at), VOLTS * amps(at), 0)

        self.answers |= {f"{place}/stretches": list(stretches), f"{place}/window": window, f"{place}/energy": energy}

    def changed(self, **what: Any) -> None:
        self.status = replace(self.status, **what)

    async def _watch(self, socket: WebSocketRoute) -> None:
        self.live.append(socket)
        for frame in [self.frame()] if self.first is None else self.first:
            socket.send(frame)

    async def _hear(self, socket: WebSocketRoute) -> None:
        self.told.append(socket)
        socket.send(json.dumps({"t_ns": 0, "kind": "status", "data": asdict(self.status)}))

    async def _answer(self, route: Route) -> None:
        asked = urlsplit(route.request.url)
        if not asked.path.startswith(PREFIX):
            file = PAGE / (asked.path.strip("/") or "index.html")
            await route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
            return
        path = f"{route.request.method} {asked.path.removeprefix(PREFIX)}"
        self.asked.append(path)
        found = self.answers.get(path, self.status if path == "GET /status" else [])
        if callable(found):
            found = found({name: values[0] for name, values in parse_qs(asked.query).items()})
        if found is None:  # a daemon that hangs
            self.hung.append(route)
            return
        if isinstance(found, bytes):
            await route.fulfill(body=found, content_type="application/octet-stream")
            return
        await route.fulfill(body=json.dumps(found, default=asdict), content_type="application/json")


@asynccontextmanager
async def staged_daemon(**context: Any) -> AsyncIterator[StagedDaemon]:
    """A browser whose page is not opened yet; a fault of the page's script fails the test. context: of Playwright, DESKTOP if left out."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await (await browser.new_context(**(context or DESKTOP))).new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        daemon = StagedDaemon(page)
        beating = asyncio.create_task(daemon.beat(), name="heartbeat")
        try:
            yield daemon
        finally:
            beating.cancel()
            await asyncio.wait([beating])
        for route in daemon.hung:
            await route.abort()
        await browser.close()
        assert faults == []
