"""*Compare runs and boards*: one figure over many runs, benches and models."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from dashboards.frame import bench, dashboard, run, variable
from dashboards.influxql import BENCH, BOARD, OF_RUN, Query, figures, tag_values
from dashboards.panels import FIGURE, TEXT, against, over_time, rows
from dashboards.run import AT_A_POINT, NOT_IN_VIEW, POINT, POWER_OVER_RATE

APART = ["bench", "board", "run", *POINT]
THIS = f'"id" =~ /^${{figure:regex}}$/ AND {BOARD}'


def compare() -> Dashboard:
    return dashboard(
        "labd-compare",
        "Compare runs and boards",
        f"One figure over runs, benches, boards and models. {NOT_IN_VIEW}",
        [
            (10, [(24, _over_runs())]),
            (10, [(12, _power_over_rate()), (12, _energy_over_rate())]),
            (12, [(24, _table())]),
        ],
        since="now-7d",
        refresh="",
        variables=[
            bench(several=True),
            variable("board", "Board", tag_values("kpi", "board", BENCH), several=True),
            run(every=True, several=True),
            variable("figure", "Figure", tag_values("kpi", "id", BENCH)),
        ],
    )


def _over_runs() -> Panel:
    columns = '"value", "low", "high"'
    text = f'SELECT {columns} FROM "kpi" WHERE {THIS} AND {OF_RUN} GROUP BY "bench", "board", "run", "at"'
    about = "Value and 95 % interval at the time at which each run began; the unit stands in the table."
    return over_time(
        "Figure by run", FIGURE, Query(text, alias="$tag_bench $tag_board $tag_run $tag_at: $col"), points=True, legend=False, about=about
    )


def _power_over_rate() -> Panel:
    return _over_rate("Power over rate", units.Watt, POWER_OVER_RATE)


def _energy_over_rate() -> Panel:
    return _over_rate("Energy per inference over rate", units.Joule, "\"id\" = 'energy_per_inference.at_rate'")


def _over_rate(title: str, unit: str, which: str) -> Panel:
    columns = ", ".join(f'"{name}"' for name in ("rate_hz", "value", "low", "high", *APART))
    text = f'SELECT {columns} FROM "kpi" WHERE {which} AND {AT_A_POINT} AND {BOARD} AND {OF_RUN}'
    return against(
        title,
        unit,
        Query(text, table=True),
        x="rate_hz",
        x_unit=units.Hertz,
        apart=APART,
        about="Ends of the 95 % interval dashed.",
    )


def _table() -> Panel:
    columns = ('"bench"', '"board"', '"run"', '"plan"', '"mode"', '"rate_hz"', '"supply_v"', '"model"', '"n"', '"provenance"', '"flags"')
    return rows("Figure", FIGURE, figures(THIS, *columns), kinds={"rate_hz": units.Hertz, "supply_v": units.Volt, "n": TEXT})
