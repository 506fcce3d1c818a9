"""What a dashboard has around its panels: uid, time, refresh, variables, annotations, links, and a place for each panel."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import (
    AnnotationContainer,
    AnnotationQuery,
    Dashboard,
    DashboardCursorSync,
    DashboardDashboardTemplating,
    DashboardDashboardTime,
    DashboardLink,
    DashboardLinkType,
    GridPos,
    Panel,
    RowPanel,
    TimePickerConfig,
    VariableModel,
    VariableRefresh,
    VariableSort,
    VariableType,
)

from dashboards.influxql import BENCH, OF_RUN, SOURCE, annotation_target, tag_values

WIDTH = 24
TAG = "labd"
REFRESH = ["500ms", "1s", "5s", "30s", "1m", "5m"]
NEWEST = 1000  # annotations of a kind: more cannot be told apart
Row = tuple[int, Sequence[tuple[int, Panel]]]


def dashboard(
    uid: str,
    title: str,
    about: str,
    rows: Sequence[Row],
    *,
    since: str,
    refresh: str,
    variables: Sequence[VariableModel],
    annotations: Sequence[AnnotationQuery] = (),
) -> Dashboard:
    """rows: height of each, and its panels with their widths, from the left. since: such as `now-5m`."""
    return Dashboard(
        uid=uid,
        title=title,
        description=about,
        tags=[TAG],
        timezone="browser",
        graph_tooltip=DashboardCursorSync.CROSSHAIR,
        time=DashboardDashboardTime(from_val=since, to="now"),
        timepicker=TimePickerConfig(refresh_intervals=REFRESH),
        refresh=refresh,
        panels=_placed(rows),
        templating=DashboardDashboardTemplating(list_val=list(variables)),
        annotations=AnnotationContainer(list_val=list(annotations)),
        links=[DashboardLink(title="labd", type_val=DashboardLinkType.DASHBOARDS, icon="external link", tags=[TAG], include_vars=True)],
    )


def bench(*, several: bool = False, once: bool = False) -> VariableModel:
    """once: looked up when the dashboard is opened, not each time it is drawn."""
    return variable("bench", "Bench", tag_values("bench", "bench"), several=several, once=once)


def run(*, every: bool, several: bool = False, once: bool = False) -> VariableModel:
    """Ids of runs begin with their time: the newest comes first. every: all of them unless one is chosen. once: see `bench`."""
    runs = tag_values("event", "run", BENCH)
    return variable("run", "Run", runs, several=several, every=every, once=once, sort=VariableSort.ALPHABETICAL_DESC)


def variable(
    name: str,
    label: str,
    query: str,
    *,
    several: bool = False,
    every: bool = False,
    once: bool = False,
    sort: VariableSort = VariableSort.ALPHABETICAL_ASC,
) -> VariableModel:
    return VariableModel(
        type_val=VariableType.QUERY,
        name=name,
        label=label,
        query=query,
        definition=query,
        datasource=SOURCE,
        refresh=VariableRefresh.ON_DASHBOARD_LOAD if once else VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=sort,
        multi=several,
        include_all=several or every,
        all_value=".*" if several or every else None,
    )


def marks() -> list[AnnotationQuery]:
    """What happened, and captures, phases and inferences from their beginning to their end."""
    return [
        _annotation("Events", "blue", "event", ""),
        _annotation("Captures", "purple", "span", "\"kind\" = 'capture' AND "),
        _annotation("Phases", "orange", "span", "\"kind\" != 'capture' AND \"kind\" != 'infer' AND "),
        _annotation("Inferences", "green", "span", "\"kind\" = 'infer' AND "),
    ]


def _annotation(name: str, colour: str, measurement: str, which: str) -> AnnotationQuery:
    text = f'SELECT "text", "tags", "end", "kind" FROM "{measurement}" WHERE {which}{OF_RUN} ORDER BY time DESC LIMIT {NEWEST}'
    target = annotation_target(name, measurement, text)
    return AnnotationQuery(name=name, datasource=SOURCE, enable=True, icon_color=colour, target=target)


def _placed(rows: Sequence[Row]) -> list[Panel | RowPanel]:
    """Raises ValueError where a row is wider than the grid."""
    placed: list[Panel | RowPanel] = []
    y = 0
    for height, panels in rows:
        x = 0
        for width, panel in panels:
            panel.id_val = len(placed) + 1
            panel.grid_pos = GridPos(h=height, w=width, x=x, y=y)
            placed.append(panel)
            x += width
        if x > WIDTH:
            raise ValueError(f"a row of {x} columns, {WIDTH} is the most: {', '.join(str(panel.title) for _, panel in panels)}")
        y += height
    return placed
