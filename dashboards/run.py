"""*Run*: the figures of one run with their intervals, and what they came from."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from dashboards.frame import bench, dashboard, marks, run
from dashboards.influxql import BY_TIME, OF_RUN, Query, figures
from dashboards.panels import FIGURE, TEXT, against, distribution, error_bars, over_time, rows, value

AT_A_POINT = "\"mode\" != ''"  # figures of an operating point, not of a mode or a pair of modes
POWER_OVER_RATE = '"id" =~ /^power\\.(mean|floor)$/'
INTERVAL = "Bars from the lower to the upper end of the 95 % interval, parted at the value."
NOT_IN_VIEW = "Figures carry the time at which their run began: it must be in view."


def run_dashboard() -> Dashboard:
    return dashboard(
        "labd-run",
        "Run",
        f"Figures of one run with their uncertainty. {NOT_IN_VIEW}",
        [
            (4, _totals()),
            (9, [(12, _power_over_rate()), (12, _bars("Energy per inference", units.Joule, "energy_per_inference"))]),
            (9, [(12, _bars("Mean power and floor", units.Watt, "power")), (12, _bars("Wake-up", units.Seconds, "wake_up"))]),
            (9, [(12, _bars("Latency", units.Seconds, "latency")), (12, _spread("Inference", "infer"))]),
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
    text = f'SELECT "rate_hz", "value", "low", "high", "mode" FROM "kpi" WHERE {POWER_OVER_RATE} AND {AT_A_POINT} AND {OF_RUN}'
    about = "Mean power of each operating point, and the ends of its 95 % interval, dashed."
    return against("Power over rate", units.Watt, Query(text, table=True), x="rate_hz", x_unit=units.Hertz, apart=["mode"], about=about)


def _bars(title: str, unit: str, family: str) -> Panel:
    """family: what the ids of the figures begin with."""
    columns = '"low", "value" - "low" AS "below", "high" - "value" AS "above"'
    text = f'SELECT "at", "id", {columns} FROM "kpi" WHERE "id" =~ /^{family}\\./ AND {AT_A_POINT} AND {OF_RUN}'
    return error_bars(title, unit, Query(text, table=True), about=INTERVAL)


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
