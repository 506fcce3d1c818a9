"""How answers are drawn: one function a kind of panel, each with the unit of what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.models import common, histogram, stat, statetimeline, table, timeseries, units, xychart
from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DashboardRangeMapOptions,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    FieldConfigSource,
    MatcherConfig,
    Panel,
    RangeMap,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from dashboards.influxql import SOURCE, Query

FIGURE = units.SiShort  # of figures of several kinds: their unit stands beside them
COUNT = units.Short
TEXT = units.NoUnit
GOOD, BAD, QUIET = "green", "red", "text"
FROM_ONE = RangeMap(options=DashboardRangeMapOptions(from_val=1.0, to=None, result=ValueMappingResult(color=BAD, index=99)))
Meanings = Mapping[str, tuple[str, str]]

LEGEND = common.VizLegendOptions(
    display_mode=common.LegendDisplayMode.LIST, placement=common.LegendPlacement.BOTTOM, show_legend=True, calcs=[]
)
NO_LEGEND = common.VizLegendOptions(
    display_mode=common.LegendDisplayMode.LIST, placement=common.LegendPlacement.BOTTOM, show_legend=False, calcs=[]
)
TOOLTIP = common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.NONE)
JOINED_MS = 2500.0  # gaps that a line bridges: summaries may come once a second, and a view ask for more
XY_VERSION = "12.1.1"  # before 11.1 these panels had other options, and Grafana takes one without a version for such a one
BAND = {"lowest": ("lineWidth", 0), "highest": ("fillBelowTo", "lowest")}


def over_time(
    title: str,
    unit: str,
    *queries: Query,
    about: str = "",
    interval: str = "",
    band: bool = False,
    points: bool = False,
    legend: bool = True,
) -> Panel:
    """Lines. band: between the columns `lowest` and `highest`. points: no lines, single values. interval: no finer than the data is."""
    custom = timeseries.FieldConfig(
        draw_style=common.GraphDrawStyle.POINTS if points else common.GraphDrawStyle.LINE,
        line_width=1,
        fill_opacity=15,
        point_size=6 if points else 4,
        show_points=common.VisibilityMode.AUTO,
        span_nulls=True if interval else JOINED_MS,
    )
    overrides = [_override(name, {f"custom.{key}": value}) for name, (key, value) in BAND.items()] if band else []
    options = timeseries.Options(legend=LEGEND if legend else NO_LEGEND, tooltip=TOOLTIP)
    fields = FieldConfig(unit=unit, custom=custom)
    return _panel("timeseries", title, queries, options=options, fields=fields, overrides=overrides, about=about, interval=interval)


def value(
    title: str,
    unit: str,
    query: Query,
    *,
    about: str = "",
    means: Meanings | None = None,
    bad: bool = False,
    coloured: bool = False,
    text: str = "",
    named: bool = False,
) -> Panel:
    """The last value, large. means: what stands for which value, in which colour; bad: any other number from 1 on is red. text: the
    column, where that is no number. named: with the name of the series, of which there are several."""
    options = stat.Options(
        reduce_options=common.ReduceDataOptions(calcs=["lastNotNull"], fields=f"/^{text}$/" if text else "", values=False),
        graph_mode=common.BigValueGraphMode.NONE,
        color_mode=common.BigValueColorMode.BACKGROUND if coloured else common.BigValueColorMode.NONE,
        text_mode=common.BigValueTextMode.VALUE_AND_NAME if named else common.BigValueTextMode.VALUE,
        justify_mode=common.BigValueJustifyMode.AUTO,
        orientation=common.VizOrientation.AUTO,
    )
    plain = FieldColor(mode=FieldColorModeId.FIXED, fixed_color=QUIET)
    fields = FieldConfig(unit=unit, mappings=_mappings(means) + ([FROM_ONE] if bad else []), color=plain)
    return _panel("stat", title, [query], options=options, fields=fields, about=about)


def states(title: str, *queries: Query, means: Meanings | None = None, about: str = "") -> Panel:
    """Texts over time, as bars."""
    options = statetimeline.Options(show_value=common.VisibilityMode.AUTO, merge_values=True, legend=LEGEND, tooltip=TOOLTIP)
    fields = FieldConfig(unit=TEXT, mappings=_mappings(means), custom=statetimeline.FieldConfig(span_nulls=True))
    return _panel("state-timeline", title, queries, options=options, fields=fields, about=about)


def rows(title: str, unit: str, query: Query, *, kinds: Mapping[str, str] | None = None, about: str = "") -> Panel:
    """A table. unit: of its numbers; kinds: of columns that have another one."""
    overrides = [_override(name, {"unit": unit}) for name, unit in (kinds or {}).items()]
    fields = FieldConfig(unit=unit, custom=common.TableFieldOptions(filterable=True))
    return _panel("table", title, [query], options=table.Options(), fields=fields, overrides=overrides, about=about)


def distribution(title: str, unit: str, *queries: Query, about: str = "") -> Panel:
    options = histogram.Options(bucket_count=40, combine=False, legend=LEGEND, tooltip=TOOLTIP)
    fields = FieldConfig(unit=unit, custom=histogram.FieldConfig(fill_opacity=60))
    return _panel("histogram", title, queries, options=options, fields=fields, about=about)


def against(title: str, unit: str, query: Query, *, x: str, x_unit: str, apart: Sequence[str], about: str) -> Panel:
    """Columns over column x, which the query selects first; the ends of their interval, `low` and `high`, dashed. apart: columns whose
    values make series of their own."""
    options = xychart.Options(mapping=xychart.SeriesMapping.AUTO, series=[], legend=LEGEND, tooltip=TOOLTIP)
    custom = xychart.FieldConfig(
        show=xychart.XYShowMode.POINTS_AND_LINES, point_size=xychart.XychartFieldConfigPointSize(fixed=6), line_width=1
    )
    dashed: dict[str, object] = {"custom.lineStyle": {"fill": "dash", "dash": [6, 6]}, "custom.pointSize": {"fixed": 3}}
    overrides = [_override(x, {"unit": x_unit}), _override("low", dashed), _override("high", dashed)]
    naming = {"asLabels": True, "append": False, "withNames": False}
    parted = DataTransformerConfig(id_val="partitionByValues", options={"fields": list(apart), "keepFields": False, "naming": naming})
    ordered = DataTransformerConfig(id_val="sortBy", options={"fields": {}, "sort": [{"field": x}]})  # lines go from point to point
    fields, shown = FieldConfig(unit=unit, custom=custom), [_without_time(), ordered, parted]
    panel = _panel("xychart", title, [query], options=options, fields=fields, overrides=overrides, about=about, transformations=shown)
    panel.plugin_version = XY_VERSION
    return panel


def _panel(
    kind: str,
    title: str,
    queries: Sequence[Query],
    *,
    options: object,
    fields: FieldConfig,
    overrides: Sequence[DashboardFieldConfigSourceOverrides] = (),
    about: str = "",
    interval: str = "",
    transformations: Sequence[DataTransformerConfig] = (),
) -> Panel:
    return Panel(
        type_val=kind,
        title=title,
        description=about or None,
        datasource=SOURCE,
        targets=[query.target("ABCDEFGH"[n]) for n, query in enumerate(queries)],
        options=options,
        interval=interval or None,
        transformations=list(transformations) or None,
        field_config=FieldConfigSource(defaults=fields, overrides=list(overrides)),
    )


def _override(column: str, properties: Mapping[str, object]) -> DashboardFieldConfigSourceOverrides:
    return DashboardFieldConfigSourceOverrides(
        matcher=MatcherConfig(id_val="byName", options=column),
        properties=[DynamicConfigValue(id_val=key, value=value) for key, value in properties.items()],
    )


def _mappings(means: Meanings | None) -> list[ValueMapping]:
    if means is None:
        return []
    options = {key: ValueMappingResult(text=text, color=colour, index=n) for n, (key, (text, colour)) in enumerate(means.items())}
    return [ValueMap(options=options)]


def _without_time() -> DataTransformerConfig:
    """Figures carry the beginning of their run, which is no axis here."""
    return DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {}})
