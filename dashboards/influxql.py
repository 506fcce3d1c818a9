"""What is asked of InfluxDB, in the one language that InfluxDB 1.x, 2.x and 3 have.

Of InfluxQL only what all three have: no INTEGRAL(), which 3 lacks (energies and charges are stored by bucket, so that SUM() does), and no
subqueries (docs.influxdata.com, InfluxDB 3, "InfluxQL feature support"). Variables are matched as regular expressions and name that format
themselves, so that it does not depend on Grafana's version how a value is escaped (Grafana's documentation, "Variable syntax").
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.cog.runtime import UnknownDataquery
from grafana_foundation_sdk.models.common import DataSourceRef

UID = "labd-influx"
SOURCE = DataSourceRef(type_val="influxdb", uid=UID)

BENCH = '"bench" =~ /^${bench:regex}$/'
BOARD = '"board" =~ /^${board:regex}$/'
RUN = '"run" =~ /^${run:regex}$/'
HERE = f"{BENCH} AND $timeFilter"  # of the bench, in view
OF_RUN = f"{BENCH} AND {RUN} AND $timeFilter"
BY_TIME = "GROUP BY time($__interval)"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel. table: rows as they come; else series over time, named by `alias` (`$col`, `$tag_NAME`)."""

    text: str
    table: bool = False
    alias: str = "$col"

    def target(self, ref: str) -> UnknownDataquery:
        """As a panel has it. The SDK has no type for InfluxDB's queries, but a bag that keeps them as they are."""
        shape = {"resultFormat": "table"} if self.table else {"resultFormat": "time_series", "alias": self.alias}
        return UnknownDataquery({"refId": ref, "datasource": _source(), "rawQuery": True, "query": self.text, **shape})


def annotation_target(name: str, measurement: str, text: str) -> UnknownDataquery:
    """Of a query that selects `text`, `tags`, `end` and `kind`; `end` makes a region of an annotation.

    Grafana names the columns of an answer `MEASUREMENT.COLUMN`. It looks for text and tags within these names, but for the end and the
    title by the whole of them; without a title it takes any column that is left (its `response_parser.ts`, transformAnnotationResponse).
    """
    columns = {"textColumn": "text", "tagsColumn": "tags", "timeEndColumn": f"{measurement}.end", "titleColumn": f"{measurement}.kind"}
    fixed = {"refId": "Anno", "datasource": _source(), "queryType": "tags", "fromAnnotations": True, "rawQuery": True}
    return UnknownDataquery({**fixed, "name": name, "query": text, **columns})


def tag_values(measurement: str, key: str, where: str = "") -> str:
    return f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{key}"{f" WHERE {where}" if where else ""}'


def figures(where: str, *columns: str) -> Query:
    """Rows of figures with their interval. columns: more of them, after those that every figure has."""
    more = "".join(f", {column}" for column in columns)
    return Query(f'SELECT "at", "value", "u", "low", "high", "unit"{more} FROM "kpi" WHERE {where} AND {OF_RUN}', table=True)


def _source() -> dict[str, object]:
    return {"type": "influxdb", "uid": UID}
