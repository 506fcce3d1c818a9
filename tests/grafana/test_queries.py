"""Every query of every panel, variable and annotation runs on a real InfluxDB and gives the numbers that were written to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.grafana.influxd import Influxd, Series, influxd, needs_influxd
from tests.grafana.oracle import Answer, answer
from tests.grafana.queries import ALL, Asked, Value, expanded, queries, unexpanded
from tests.grafana.seeds import BEGIN_NS, BOARDS, RUN_NS, RUNS, documented, points

POINTS = points()
START_MS, END_MS = BEGIN_NS // 10**6, (BEGIN_NS + 4 * RUN_NS) // 10**6
FIRST, SECOND, THIRD = RUNS
CHOSEN: dict[str, dict[str, Value]] = {
    "one run": {"bench": FIRST[0], "board": BOARDS[1], "run": FIRST[1], "figure": "power.mean"},
    "a name full of signs": {"bench": THIRD[0], "board": ALL, "run": THIRD[1], "figure": "wake_up.total"},
    "some": {"bench": [FIRST[0], THIRD[0]], "board": [BOARDS[1], BOARDS[2]], "run": [SECOND[1], THIRD[1]], "figure": "break_even"},
    "one board": {"bench": ALL, "board": BOARDS[2], "run": ALL, "figure": "power.mean"},
    "all": {"bench": ALL, "board": ALL, "run": ALL, "figure": "energy_per_inference.at_rate"},
}
INTERVALS_MS = (200, 1000, 10_000)
CASES = [(asked, ms) for asked in queries() for ms in (INTERVALS_MS if "$__interval" in asked.text else (1000,))]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    with influxd(tmp_path_factory.mktemp("influxd")) as found:
        found.write("\n".join(point.line for point in POINTS))
        yield found


def sent(asked: Asked, chosen: dict[str, Value], interval_ms: int) -> str:
    return expanded(asked.text, start_ms=START_MS, end_ms=END_MS, interval_ms=interval_ms, variables=chosen)


@needs_influxd
@pytest.mark.parametrize("chosen", CHOSEN)
@pytest.mark.parametrize(("asked", "interval_ms"), CASES, ids=str)
def test_a_query_gives_the_numbers_that_were_written(server: Influxd, asked: Asked, chosen: str, interval_ms: int) -> None:
    query = sent(asked, CHOSEN[chosen], interval_ms)
    expected = answer(query, POINTS)
    assert any(expected.values()), "a query that nothing answers proves nothing"
    assert_same(server.ask(query), expected)


def assert_same(found: list[Series], expected: Answer) -> None:
    """fill() adds rows, without a value or with the last one; what is expected must be there."""
    assert {tuple(series.tags.items()) for series in found} == set(expected)
    for series in found:
        rows = expected[tuple(series.tags.items())]
        timed = "time" in rows[0]
        own = [row if timed else {name: value for name, value in row.items() if name != "time"} for row in series.rows]
        if timed and len({row["time"] for row in rows}) == len(rows):
            times = {row["time"] for row in rows}
            own = sorted((row for row in own if row["time"] in times), key=lambda row: row["time"])
            rows = sorted(rows, key=lambda row: row["time"] or 0)
        else:
            own, rows = sorted(own, key=str), sorted(rows, key=str)
        assert [list(row) for row in own] == [list(row) for row in rows]
        for one, other in zip(own, rows, strict=True):
            for name, value in other.items():
                assert one[name] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value), name


@pytest.mark.parametrize("chosen", CHOSEN)
@pytest.mark.parametrize("asked", queries(), ids=str)
def test_nothing_of_grafana_is_left_in_a_query(asked: Asked, chosen: str) -> None:
    assert unexpanded(asked.text) != [] or "$" not in asked.text
    assert unexpanded(sent(asked, CHOSEN[chosen], 1000)) == []


@pytest.mark.parametrize("asked", queries(), ids=str)
def test_a_query_asks_only_what_every_generation_of_influxdb_has(asked: Asked) -> None:
    """InfluxDB 3's InfluxQL has neither; series limits neither."""
    said = asked.text.upper()
    assert [
        word for word in ("INTEGRAL(", "SAMPLE(", "SLIMIT", "SOFFSET", "SHOW SERIES", "SHOW DATABASES", "(SELECT") if word in said
    ] == []


def test_the_points_have_the_tags_and_fields_that_the_reference_says() -> None:
    tags: dict[str, set[str]] = {}
    fields: dict[str, set[str]] = {}
    for point in POINTS:
        tags.setdefault(point.measurement, set()).update(point.tags)
        fields.setdefault(point.measurement, set()).update(point.fields)
    assert {name: (tags[name], fields[name]) for name in tags} == documented()


@pytest.mark.parametrize(
    ("length_ms", "text"), [(0, "1ms"), (200, "200ms"), (1999, "1s"), (60_000, "1m"), (7_200_000, "2h"), (86_400_000, "1d")]
)
def test_intervals_are_written_as_grafana_writes_them(length_ms: int, text: str) -> None:
    assert expanded("$__interval", start_ms=0, end_ms=1, interval_ms=length_ms, variables={}) == text
