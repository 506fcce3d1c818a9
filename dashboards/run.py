"""*Run*: the figures of one run with their intervals, and what they came from."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from dashboards.frame import bench, dashboard, marks, run
from dashboards.influxql import BY_TIME, OF_RUN, Query, figures
from dashboards.panels import FIGURE, TEXT, against, distribution, over_time, rows, value

AT_A_POINT = "\"mode\" != ''"  # figures of an operating point, not of a mode or a pair of modes
POWER_OVER_RATE = '"id" =~ /^power\\.(mean|floor)$/'
INTERVAL = "The figure at each operating point, and the ends of its 95 % interval, dashed."
POINT = ["mode", "supply", "model"]  # what an operating point has beside its rate
NOT_IN_VIEW = "Figures carry the time at which their run began: it must be in view."


def run_dashboard() -> Dashboard:
    return dashboard(
        "labd-run",
        "Run",
        f"Figures of one run with their uncertainty. {NOT_IN_VIEW}",
        [
            (4, _totals()),
            (9, [(12, _power_over_rate()), (12, _family("Energy per inference", units.Joule, "energy_per_inference"))]),
            (9, [(12, _family("All powers", units.Watt, "power")), (12, _family("Wake-up", units.Seconds, "wake_up"))]),
            (9, [(12, _family("Latency", units.Seconds, "latency")), (12, _spread("Inference", "infer"))]),
            (8, [(12, _spread("Wake-up", "wake")), (12, _spread("Load", "load"))]),
            (10, [(24, _operating_points())]),
            (10, [(24, _others())]),
            (9, [(24, _trace())]),
        ],
        since="now-24h",
        refresh="",
        variables=[bench(), run(every=False)],
        annotations=marks(),
    )


def _totals() -> list[tuple[int, Panel]]:
    def of_power(column: str) -> Query:
        return Query(f'SELECT SUM("{column}") AS "{column}" FROM "power" WHERE {OF_RUN}')

    captures = Query(f'SELECT COUNT("length") AS "captures" FROM "span" WHERE "kind" = \'capture\' AND {OF_RUN}')
    inferences = Query(f'SELECT COUNT("length") AS "inferences" FROM "span" WHERE "kind" = \'infer\' AND {OF_RUN}')
    count = Query(f'SELECT COUNT("value") AS "figures" FROM "kpi" WHERE {OF_RUN}')
    return [
        (4, value("Energy captured", units.Joule, of_power("energy"))),
        (4, value("Time captured", units.Seconds, of_power("length"))),
        (4, value("Samples", units.Short, of_power("n"))),
        (4, value("Captures", units.Short, captures)),
        (4, value("Inferences seen", units.Short, inferences)),
        (4, value("Figures", units.Short, count)),
    ]


def _power_over_rate() -> Panel:
    return _over_rate("Power over rate", units.Watt, POWER_OVER_RATE, POINT)


def _family(title: str, unit: str, family: str) -> Panel:
    """family: what the ids of the figures begin with; each is a series of its own."""
    return _over_rate(title, unit, f'"id" =~ /^{family}\\./', ["id", *POINT])


def _over_rate(title: str, unit: str, which: str, apart: Sequence[str]) -> Panel:
    columns = ", ".join(f'"{name}"' for name in ("rate_hz", "value", "low", "high", *apart))
    text = f'SELECT {columns} FROM "kpi" WHERE {which} AND {AT_A_POINT} AND {OF_RUN}'
    return against(title, unit, Query(text, table=True), x="rate_hz", x_unit=units.Hertz, apart=apart, about=INTERVAL)


def _spread(title: str, kind: str) -> Panel:
    text = f'SELECT "length" FROM "span" WHERE "kind" = \'{kind}\' AND {OF_RUN}'
    return distribution(f"{title}: lengths", units.Seconds, Query(text), about="One value a phase, from the run's analysis.")


def _operating_points() -> Panel:
    columns = ('"id"', '"mode"', '"rate_hz"', '"supply_v"', '"model"', '"n"', '"provenance"', '"flags"')
    return rows(
        "Operating points", FIGURE, figures(AT_A_POINT, *columns), kinds={"rate_hz": units.Hertz, "supply_v": units.Volt, "n": TEXT}
    )


def _others() -> Panel:
    about = "Of a mode, or of a pair of modes: floors, energies for each further inference, break-even rates, battery lives."
    columns = ('"id"', '"n"', '"provenance"', '"method"', '"flags"', '"note"')
    return rows("Modes and pairs of modes", FIGURE, figures("\"mode\" = ''", *columns), kinds={"n": TEXT}, about=about)


def _trace() -> Panel:
    columns = 'SUM("energy") / SUM("length") AS "mean", MIN("power_min") AS "lowest", MAX("power_max") AS "highest"'
    return over_time("Power", units.Watt, Query(f'SELECT {columns} FROM "power" WHERE {OF_RUN} {BY_TIME} fill(null)'), band=True)
