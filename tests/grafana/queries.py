"""Every query of the checked-in dashboards, with Grafana's macros and variables expanded as Grafana expands them.

Macros: grafana/pkg/tsdb/influxdb/models/query.go (Build) and grafana-plugin-sdk-go/backend/gtime (FormatInterval). Variables with the
format `regex`: grafana/packages/grafana-data, escapeRegex, and the formatter of that name; a variable's value for "All" is not escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "grafana/dashboards"
FILES = sorted(FOLDER.glob("*.json"))
UNITS_MS = (("y", 365 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
ALL = object()  # a variable's value when everything is chosen
Value = str | Sequence[str] | object


@dataclass(frozen=True, slots=True)
class Asked:
    """One query. where: dashboard and panel, variable or annotation."""

    where: str
    text: str

    def __str__(self) -> str:
        return self.where


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text("utf-8")) for path in FILES}


def queries() -> list[Asked]:
    return [asked for name, dashboard in dashboards().items() for asked in of_dashboard(name, dashboard)]


def of_dashboard(name: str, dashboard: Mapping[str, Any]) -> Iterator[Asked]:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield Asked(f"{name}: {panel['title']} ({panel['id']}{target['refId']})", target["query"])
    for variable in dashboard["templating"]["list"]:
        yield Asked(f"{name}: variable {variable['name']}", variable["query"])
    for annotation in dashboard["annotations"]["list"]:
        yield Asked(f"{name}: annotation {annotation['name']}", annotation["target"]["query"])


def expanded(text: str, *, start_ms: int, end_ms: int, interval_ms: int, variables: Mapping[str, Value]) -> str:
    """As the query reaches InfluxDB."""
    text = re.sub(r"\$\{(\w+):regex\}", lambda found: _as_regex(variables[found[1]]), text)
    interval = _interval(interval_ms)
    text = text.replace("$timeFilter", f"time >= {start_ms}ms and time <= {end_ms}ms")
    return text.replace("$interval", interval).replace("$__interval_ms", str(interval_ms)).replace("$__interval", interval)


def unexpanded(text: str) -> list[str]:
    """Macros and variables that are still in a query (`$` alone ends a regular expression)."""
    return re.findall(r"\$\w+|\$\{.*?\}|\[\[.*?\]\]", text)


def _as_regex(value: Value) -> str:
    if value is ALL:
        return ".*"
    if isinstance(value, str):
        return re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", value)
    assert isinstance(value, Sequence)
    escaped = [_as_regex(one) for one in value]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _interval(length_ms: int) -> str:
    return next((f"{length_ms // unit}{name}" for name, unit in UNITS_MS if length_ms >= unit), "1ms")
