"""How answers are drawn: one function a kind of panel, each with the unit of what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.models import barchart, common, histogram, stat, statetimeline, table, timeseries, units, xychart
from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    FieldConfigSource,
    MatcherConfig,
    Panel,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from dashboards.influxql import SOURCE, Query

FIGURE = units.SiShort  # of figures of several kinds: their unit stands beside them
COUNT = units.Short
TEXT = units.NoUnit
GOOD, BAD, QUIET = "green", "red", "text"
Meanings = Mapping[str, tuple[str, str]]

LEGEND = common.VizLegendOptions(
    display_mode=common.LegendDisplayMode.LIST, placement=common.LegendPlacement.BOTTOM, show_legend=True, calcs=[]
)
TOOLTIP = common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.NONE)
BAND = {"lowest": ("lineWidth", 0), "highest": ("fillBelowTo", "lowest")}


def over_time(
    title: str, unit: str, *queries: Query, about: str = "", interval: str = "", band: bool = False, points: bool = False
) -> Panel:
    """Lines. band: between the columns `lowest` and `highest`. points: no lines, single values. interval: no finer than the data is."""
    custom = timeseries.FieldConfig(
        draw_style=common.GraphDrawStyle.POINTS if points else common.GraphDrawStyle.LINE,
        line_width=1,
        fill_opacity=15,
        point_size=6 if points else 4,
        show_points=common.VisibilityMode.AUTO,
        span_nulls=bool(interval),
    )
    overrides = [_override(name, {f"custom.{key}": value}) for name, (key, value) in BAND.items()] if band else []
    options, fields = timeseries.Options(legend=LEGEND, tooltip=TOOLTIP), FieldConfig(unit=unit, custom=custom)
    return _panel("timeseries", title, queries, options=options, fields=fields, overrides=overrides, about=about, interval=interval)


def value(
    title: str, unit: str, query: Query, *, about: str = "", means: Meanings | None = None, coloured: bool = False, text: str = ""
) -> Panel:
    """The last value, large. means: what stands for which value, in which colour. text: the column, where that is no number."""
    options = stat.Options(
        reduce_options=common.ReduceDataOptions(calcs=["lastNotNull"], fields=f"/^{text}$/" if text else "", values=False),
        graph_mode=common.BigValueGraphMode.NONE,
        color_mode=common.BigValueColorMode.BACKGROUND if coloured else common.BigValueColorMode.NONE,
        text_mode=common.BigValueTextMode.VALUE,
        justify_mode=common.BigValueJustifyMode.AUTO,
        orientation=common.VizOrientation.AUTO,
    )
    plain = FieldColor(mode=FieldColorModeId.FIXED, fixed_color=QUIET)
    fields = FieldConfig(unit=unit, mappings=_mappings(means), color=plain)
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


def error_bars(title: str, unit: str, query: Query, *, about: str) -> Panel:
    """Floating bars from `low` to `high`, parted at the value. The query selects `at`, `low`, `below` and `above`: bars on each other."""
    options = barchart.Options(
        x_field="at",
        orientation=common.VizOrientation.HORIZONTAL,
        stacking=common.StackingMode.NORMAL,
        show_value=common.VisibilityMode.NEVER,
        legend=common.VizLegendOptions(
            display_mode=common.LegendDisplayMode.LIST, placement=common.LegendPlacement.BOTTOM, show_legend=False, calcs=[]
        ),
        tooltip=TOOLTIP,
        bar_width=0.5,
    )
    unseen: dict[str, object] = {"custom.fillOpacity": 0, "custom.lineWidth": 0}
    overrides = [_override("low", unseen), _override("below", _fixed("blue")), _override("above", _fixed("light-blue"))]
    fields = FieldConfig(unit=unit, custom=barchart.FieldConfig(fill_opacity=90))
    shown = [_without_time()]
    return _panel("barchart", title, [query], options=options, fields=fields, overrides=overrides, about=about, transformations=shown)


def distribution(title: str, unit: str, *queries: Query, about: str = "") -> Panel:
    options = histogram.Options(bucket_count=40, combine=False, legend=LEGEND, tooltip=TOOLTIP)
    fields = FieldConfig(unit=unit, custom=histogram.FieldConfig(fill_opacity=60))
    return _panel("histogram", title, queries, options=options, fields=fields, about=about)


def against(title: str, unit: str, query: Query, *, x: str, x_unit: str, apart: Sequence[str], about: str) -> Panel:
    """Columns over column x, which the query selects first. apart: columns whose values make series of their own."""
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
    return _panel("xychart", title, [query], options=options, fields=fields, overrides=overrides, about=about, transformations=shown)


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


def _fixed(colour: str) -> dict[str, object]:
    return {"color": {"mode": "fixed", "fixedColor": colour}}


def _without_time() -> DataTransformerConfig:
    """Figures carry the beginning of their run, which is no axis here."""
    return DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {}})
