"""Every query of every panel, variable and annotation on what labd's own sink wrote: its numbers are those of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest

from tests.grafana.influxd import Influxd, Series
from tests.grafana.oracle import answer
from tests.grafana.played import Kept, Played, Second, played
from tests.grafana.queries import ALL, Asked, Value, expanded, queries
from tests.grafana.seeds import documented
from tests.grafana.test_queries import assert_same
from tests.influx.lab import BOARD
from tests.influx.servers import influxd, needs_influxd

pytestmark = needs_influxd

EXACT = 1e-12  # relative: sums in another order
SINGLE = float(np.finfo(np.float32).eps)  # the precision of samples, and of the ends of their products
CHOSEN = ("one run", "some", "all")
Wanted = Callable[[Kept], float]
ByName = Callable[[Second], dict[str, float]]
QUERIES = {str(asked): asked for asked in queries()}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Played, Influxd]]:
    folder = tmp_path_factory.mktemp("played")
    with influxd(folder / "influxd") as server, httpx.Client(base_url=server.url, trust_env=False) as http:
        yield asyncio.run(played(folder, server)), Influxd(http)


def sent(found: Played, asked: Asked, chosen: str, interval_ms: int = 1000) -> str:
    """Over all that the sink had put into its outbox before the server was there."""
    times_ms = [point.t_ns // 10**6 for point in found.points]
    first, *_ = runs = list(found.kept)
    values: dict[str, dict[str, Value]] = {
        "one run": {"bench": "lab", "board": BOARD, "run": first, "figure": "power.mean"},
        "some": {"bench": ["lab"], "board": [BOARD], "run": runs, "figure": "break_even_rate"},
        "all": {"bench": ALL, "board": ALL, "run": ALL, "figure": "energy_per_inference.at_rate"},
    }
    return expanded(asked.text, start_ms=min(times_ms), end_ms=max(times_ms), interval_ms=interval_ms, variables=values[chosen])


@pytest.mark.parametrize("chosen", CHOSEN)
@pytest.mark.parametrize("asked", QUERIES.values(), ids=str)
def test_a_query_gives_the_numbers_of_the_lines_that_the_sink_wrote(scene: tuple[Played, Influxd], asked: Asked, chosen: str) -> None:
    found, server = scene
    query = sent(found, asked, chosen)
    expected = answer(query, found.points)
    assert any(expected.values()), "nothing that labd writes answers it"
    assert_same(server.ask(query), expected)


def test_the_lines_have_the_tags_and_fields_that_the_reference_says(scene: tuple[Played, Influxd]) -> None:
    tags: dict[str, set[str]] = {}
    fields: dict[str, set[str]] = {}
    for point in scene[0].points:
        tags.setdefault(point.measurement, set()).update(point.tags)
        fields.setdefault(point.measurement, set()).update(point.fields)
    assert {name: (tags[name], fields[name]) for name in tags} == documented()


@pytest.mark.parametrize(
    ("panel", "wanted"),
    [
        ("run: Energy captured", lambda kept: kept.account.energy_j),
        ("run: Time captured", lambda kept: kept.account.samples * 1e-4),
        ("run: Samples", lambda kept: kept.account.samples),
        ("run: Captures", lambda kept: kept.captures),
        ("run: Inferences seen", lambda kept: kept.inferences),
        ("run: Figures", lambda kept: kept.account.figures),
    ],
)
def test_sums_and_counts_of_a_run_are_those_of_the_store(scene: tuple[Played, Influxd], panel: str, wanted: Wanted) -> None:
    found, server = scene
    (series,) = server.ask(sent(found, of_panel(panel), "one run"))
    (row,) = series.rows
    (value,) = (value for name, value in row.items() if name != "time")
    assert value == pytest.approx(wanted(next(iter(found.kept.values()))), rel=EXACT)


def test_the_energy_so_far_is_that_of_all_captures_of_the_run(scene: tuple[Played, Influxd]) -> None:
    """Products are made in single precision on the way: it is for the eye, the figures come from the trace."""
    found, server = scene
    (series,) = server.ask(sent(found, of_panel("live: Energy so far (2A)"), "one run"))
    assert series.rows[0]["run_energy"] == pytest.approx(list(found.kept.values())[-1].account.energy_j, rel=1e-6)


@pytest.mark.parametrize(
    ("panel", "wanted"),
    [
        ("live: Power (7A)", lambda s: {"mean": s.energy / s.length, "lowest": s.power[0], "highest": s.power[1]}),
        ("run: Power (", lambda s: {"mean": s.energy / s.length, "lowest": s.power[0], "highest": s.power[1]}),
        ("live: Current", lambda s: {"mean": s.charge / s.length}),
    ],
)
def test_every_second_of_power_and_current_is_that_of_the_samples(scene: tuple[Played, Influxd], panel: str, wanted: ByName) -> None:
    found, server = scene
    (series,) = server.ask(sent(found, of_panel(panel), "one run"))
    drawn = {row["time"] // 1000: row for row in shown(series)}
    kept = next(iter(found.kept.values()))
    assert set(drawn) == set(kept.by_second)
    for second, samples in kept.by_second.items():
        for name, value in wanted(samples).items():
            assert drawn[second][name] == pytest.approx(value, rel=EXACT if name == "mean" else SINGLE)


def test_the_lowest_and_highest_current_of_a_second_are_samples_of_the_trace(scene: tuple[Played, Influxd]) -> None:
    """In single precision, as they were recorded."""
    found, server = scene
    (series,) = server.ask(sent(found, of_panel("live: Current"), "one run"))
    drawn = {row["time"] // 1000: tuple(float(np.float32(row[name])) for name in ("lowest", "highest")) for row in shown(series)}
    kept = next(iter(found.kept.values()))
    assert drawn == {second: samples.current for second, samples in kept.by_second.items()}


def shown(series: Series) -> list[dict[str, float]]:
    """fill(null) adds rows without a value."""
    return [row for row in series.rows if any(value is not None for name, value in row.items() if name != "time")]


def of_panel(begin: str) -> Asked:
    (found,) = [asked for name, asked in QUERIES.items() if name.startswith(begin)]
    return found
