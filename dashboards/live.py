"""*Live bench*: what the bench does now."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from dashboards.frame import bench, dashboard, marks, run
from dashboards.influxql import BY_TIME, HERE, OF_RUN, Query
from dashboards.panels import COUNT, GOOD, QUIET, TEXT, over_time, rows, states, value

TOLD = "10s"  # how often the daemon says how it is, at least
STATES = {"idle": ("idle", QUIET), "measuring": ("measuring", GOOD), "paused": ("paused", "orange")}


def live() -> Dashboard:
    first = [
        (4, value("Power", units.Watt, _newest_power(), about="Mean of the newest bucket in view.")),
        (4, value("Energy so far", units.Joule, _last("run_energy"), about="Of all captures of the run under way.")),
        (4, value("Energy of the capture", units.Joule, _last("energy"), about="Since the capture under way began.")),
        (4, value("Bench", TEXT, _last("state"), means=STATES, coloured=True, text="state")),
        (4, value("Jobs waiting", COUNT, _last("queue_waiting"))),
        (4, value("Alarms", COUNT, _last("alarms"), means={"0": ("none", GOOD)}, bad=True, coloured=True)),
    ]
    return dashboard(
        "labd-live",
        "Live bench",
        "Power, current and voltage of the board, what happened when, and how the bench is.",
        [
            (4, first),
            (9, [(24, _lines("Power", units.Watt, "power", "energy"))]),
            (8, [(12, _lines("Current", units.Ampere, "current", "charge")), (12, _voltage())]),
            (7, [(12, _energy()), (12, _what_it_does())]),
            (7, [(24, _queue())]),
            (8, [(24, _events())]),
        ],
        since="now-5m",
        refresh="1s",
        variables=[bench(once=True), run(every=True, once=True)],
        annotations=marks(),
    )


def _lines(title: str, unit: str, column: str, amount: str) -> Panel:
    """A mean over time is the amount by the length that it came in, however the buckets fall."""
    text = (
        f'SELECT SUM("{amount}") / SUM("length") AS "mean", MIN("{column}_min") AS "lowest", MAX("{column}_max") AS "highest" '
        f'FROM "power" WHERE {OF_RUN} {BY_TIME} fill(null)'
    )
    return over_time(title, unit, Query(text), band=True, about="Mean, and the lowest and highest single sample.")


def _voltage() -> Panel:
    text = (
        'SELECT MEAN("voltage") AS "mean", MIN("voltage_min") AS "lowest", MAX("voltage_max") AS "highest" '
        f'FROM "power" WHERE {OF_RUN} {BY_TIME} fill(null)'
    )
    return over_time("Voltage", units.Volt, Query(text), band=True, about="Mean of the buckets' means, and the lowest and highest sample.")


def _newest_power() -> Query:
    return Query(f'SELECT LAST("power") AS "power" FROM "power" WHERE {OF_RUN}')


def _energy() -> Panel:
    columns = 'MAX("run_energy") AS "run", MAX("energy") AS "capture"'
    query = Query(f'SELECT {columns} FROM "bench" WHERE {HERE} {BY_TIME} fill(none)')
    return over_time(
        "Energy so far", units.Joule, query, interval="1s", about="Of the run and of the capture under way, told every second."
    )


def _last(field: str) -> Query:
    return Query(f'SELECT LAST("{field}") AS "{field}" FROM "bench" WHERE {HERE}')


def _what_it_does() -> Panel:
    """Texts stand as they are: they cannot be averaged, and there are few."""
    queries = [Query(f'SELECT "{field}" FROM "bench" WHERE {HERE}') for field in ("state", "capture")]
    return states("Bench and capture", *queries, means=STATES, about="A capture's name holds the board's mode and rate.")


def _queue() -> Panel:
    columns = 'LAST("queue_waiting") AS "waiting", LAST("queue_paused") AS "paused"'
    return over_time("Queue", COUNT, Query(f'SELECT {columns} FROM "bench" WHERE {HERE} {BY_TIME} fill(previous)'), interval=TOLD)


def _events() -> Panel:
    text = f'SELECT "kind", "text", "capture", "run" FROM "event" WHERE {OF_RUN} ORDER BY time DESC LIMIT 50'
    return rows("What happened", TEXT, Query(text, table=True))
