"""The Grafana Live sink: means of the capture under way, up to 20 times a second, for whoever has a panel open; nothing is kept.

`POST /api/live/push/:streamId` (Grafana's documentation, "Set up Grafana Live").
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from labd.config.secret import authority, token
from labd.errors import LabdError
from labd.grafana.lines import line
from labd.grafana.section import GrafanaLiveSection
from labd.patience import Patience
from labd.stream.feed import Feed
from labd.stream.hub import Hub, Subscription
from labd.stream.means import Means
from labd.stream.session import InstrumentSession

BLOCKS = 4096  # that wait for a point
TIMEOUT_S = 5.0
DISK_S = 60.0
WHY = {
    401: "the token is not one of this Grafana's, or it has expired",
    403: "the token's service account may not push",
    404: "this URL has no Grafana Live: is it Grafana's own, with its sub-path?",
}

log = logging.getLogger(__name__)


class Refused(Exception):
    """Grafana answered, but did not take the point."""


class GrafanaLiveSink:
    """`run` is its one task."""

    def __init__(self, section: GrafanaLiveSection, bench: str, *, folder: Path, feed: Hub[Feed]) -> None:
        self._section = section
        self._bench = bench
        self._folder = folder
        self._feed = feed
        self._disk = InstrumentSession("grafana live secrets")
        self._means = Means()  # kept while Grafana is away: it knows which capture is under way
        self._connected = False
        self._error = ""
        self._sent = 0
        self._failed = 0
        self._lost = 0

    def status(self) -> dict[str, Any]:
        """JSON data for the status page. failed: points that Grafana did not get; lost_blocks: that came while it was slow."""
        counts = {"sent": self._sent, "failed": self._failed, "lost_blocks": self._lost}
        return {"connected": self._connected, "url": self._section.url, "error": self._error, **counts}

    async def run(self) -> None:
        """For ever: what goes wrong is told in the status, and tried again later with newer samples."""
        patience = Patience()
        # size: BLOCKS; policy: newest wins; counter: lost_blocks of the status
        with self._feed.subscribe("grafana live", size=BLOCKS) as feed:
            async with self._disk:
                while True:
                    sent = self._sent
                    try:
                        async with await self._client() as http:
                            await self._push(http, feed)
                    except (httpx.HTTPError, httpx.InvalidURL, OSError, LabdError, Refused) as error:
                        self._connected, self._error = False, str(error) or type(error).__name__
                    if self._sent > sent:
                        patience.restored()
                    wait_s = patience.spent()
                    log.warning("grafana live: %s; again in %.1f s", self._error, wait_s)
                    await asyncio.sleep(wait_s)

    async def _push(self, http: httpx.AsyncClient, feed: Subscription[Feed]) -> None:
        """Until something goes wrong, which is raised."""
        means = self._means
        while True:
            await asyncio.sleep(1 / self._section.rate)
            for item in feed.drained():
                means.add(item)
            self._lost = feed.lost
            figures = means.taken()
            if figures is not None:
                tags = {"bench": self._bench, "run": means.run_id, "capture": means.capture}
                await self._send(http, line(tags, figures, means.newest_t_ns))

    async def _send(self, http: httpx.AsyncClient, point: str) -> None:
        if not point:
            return
        try:
            await self._post(http, point)
        except (httpx.HTTPError, Refused):
            self._failed += 1
            raise
        self._sent += 1
        self._connected, self._error = True, ""

    async def _post(self, http: httpx.AsyncClient, point: str) -> None:
        answer = await http.post(f"{self._section.url.rstrip('/')}/api/live/push/{self._section.stream}", content=point.encode())
        if answer.status_code != 200:
            raise Refused(WHY.get(answer.status_code, f"Grafana answered with status {answer.status_code}"))

    async def _client(self) -> httpx.AsyncClient:
        """Raises FileError for a token or an authority that cannot be read."""
        given, verify = await self._disk.call(partial(_secrets, self._section, self._folder), deadline_s=DISK_S)
        headers = {"Authorization": f"Bearer {given}", "Content-Type": "text/plain; charset=utf-8"}
        return httpx.AsyncClient(headers=headers, verify=verify, timeout=TIMEOUT_S, trust_env=False)


def _secrets(section: GrafanaLiveSection, folder: Path) -> tuple[str, ssl.SSLContext | bool]:
    """The section has one of the two keys of a token."""
    verify = True if section.tls_ca is None else authority(folder / section.tls_ca)
    return token(section, "grafana_live", folder), verify
