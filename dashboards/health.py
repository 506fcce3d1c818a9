"""*Daemon health*: what waits, what the daemon uses, whether its guard answers."""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from dashboards.frame import bench, dashboard
from dashboards.influxql import BY_TIME, HERE, Query
from dashboards.live import TOLD
from dashboards.panels import BAD, COUNT, GOOD, over_time, value

BY_SINK = "$tag_sink $col"


def health() -> Dashboard:
    return dashboard(
        "labd-health",
        "Daemon health",
        "The daemon says how it is every ten seconds, through the same server: while that is away, look at `labd status`.",
        [
            (4, _now()),
            (8, [(8, _outbox("Waiting", COUNT, waiting="messages")), (8, _bytes()), (8, _outbox("Oldest", units.Seconds, oldest="age"))]),
            (8, [(12, _points()), (6, _outbox("Failed requests", COUNT, retries="failed")), (6, _delay())]),
            (8, [(8, _daemon("Memory", units.BytesIEC, resident="resident")), (8, _handles()), (8, _disk())]),
            (8, [(12, _daemon("Guard answers", COUNT, guard="guard")), (12, _daemon("Alarms", COUNT, alarms="alarms"))]),
        ],
        since="now-1h",
        refresh="10s",
        variables=[bench()],
    )


def _now() -> list[tuple[int, Panel]]:
    guard = {"1": ("answers", GOOD), "0": ("SILENT", BAD)}
    connected = {"1": ("connected", GOOD), "0": ("away", BAD)}
    by_sink = Query(f'SELECT LAST("connected") AS "connected" FROM "outbox" WHERE {HERE} GROUP BY "sink"', alias="$tag_sink")
    return [
        (5, value("Guard", COUNT, _last("guard"), means=guard, coloured=True)),
        (7, value("Sinks", COUNT, by_sink, means=connected, coloured=True, named=True)),
        (4, value("Alarms", COUNT, _last("alarms"), means={"0": ("none", GOOD)}, bad=True, coloured=True)),
        (4, value("Disk free", units.BytesIEC, _last("free"))),
        (4, value("Up for", units.Seconds, _last("uptime"))),
    ]


def _last(field: str) -> Query:
    return Query(f'SELECT LAST("{field}") AS "{field}" FROM "bench" WHERE {HERE}')


def _daemon(title: str, unit: str, *, about: str = "", **columns: str) -> Panel:
    """columns: the field of each, and what it is called."""
    return over_time(
        title, unit, Query(f'SELECT {_means(columns)} FROM "bench" WHERE {HERE} {BY_TIME} fill(none)'), about=about, interval=TOLD
    )


def _outbox(title: str, unit: str, *, about: str = "", **columns: str) -> Panel:
    text = f'SELECT {_means(columns)} FROM "outbox" WHERE {HERE} {BY_TIME}, "sink" fill(none)'
    return over_time(title, unit, Query(text, alias=BY_SINK), about=about, interval=TOLD)


def _means(columns: Mapping[str, str]) -> str:
    return ", ".join(f'MAX("{field}") AS "{name}"' for field, name in columns.items())


def _bytes() -> Panel:
    return _outbox("Waiting", units.BytesIEC, waiting_bytes="bytes")


def _delay() -> Panel:
    return _outbox("Delay", units.Seconds, latency="delay", about="From a point's time to its arrival.")


def _points() -> Panel:
    about = "Since the daemon started: taken by the server, refused by it, dropped by the caps."
    return _outbox("Points", COUNT, about=about, sent="sent", rejected="rejected", dropped="dropped")


def _handles() -> Panel:
    return _daemon("Descriptors, threads, tasks", COUNT, descriptors="descriptors", threads="threads", tasks="tasks")


def _disk() -> Panel:
    return _daemon("Disk", units.BytesIEC, free="free")
