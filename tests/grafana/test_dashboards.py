"""The checked-in dashboards are what the code makes, and nothing in them contradicts itself."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest

from tests.grafana.queries import FILES, dashboards

DASHBOARDS = dashboards()
SOURCE = {"type": "influxdb", "uid": "labd-influx"}
TITLES = {"live": "Live bench", "run": "Run", "compare": "Compare runs and boards", "health": "Daemon health"}


@pytest.fixture(params=DASHBOARDS)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    return DASHBOARDS[request.param]


def test_the_dashboards_are_those_that_the_code_makes() -> None:
    """`python -m dashboards` writes them again."""
    main = pytest.importorskip("dashboards.__main__", reason="grafana-foundation-sdk is not installed", exc_type=ImportError)
    made = {f"{name}.json": main.written(make()) for name, make in main.DASHBOARDS.items()}
    assert {path.name: path.read_text("utf-8") for path in FILES} == made


def test_grafanas_own_classes_read_a_dashboard_and_write_it_unchanged(dashboard: dict[str, Any]) -> None:
    """Unknown keys would be lost on the way."""
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    pytest.importorskip("grafana_foundation_sdk.cog.plugins").register_default_plugins()
    encoder = pytest.importorskip("grafana_foundation_sdk.cog.encoder").JSONEncoder
    assert json.loads(json.dumps(models.Dashboard.from_json(dashboard), cls=encoder)) == dashboard


def test_there_are_the_four_dashboards() -> None:
    assert {name: dashboard["title"] for name, dashboard in DASHBOARDS.items()} == TITLES


def test_uids_are_unique_and_short_enough() -> None:
    uids = [dashboard["uid"] for dashboard in DASHBOARDS.values()]
    assert len(set(uids)) == len(uids)
    assert max(map(len, uids)) <= 40


def test_the_live_dashboard_is_drawn_every_second() -> None:
    assert DASHBOARDS["live"]["refresh"] == "1s"
    assert {"500ms", "1s"} <= set(DASHBOARDS["live"]["timepicker"]["refresh_intervals"])


def test_a_dashboard_is_of_the_schema_that_grafana_10_to_13_read(dashboard: dict[str, Any]) -> None:
    assert dashboard["schemaVersion"] == 42
    assert "id" not in dashboard  # Grafana's own number would tie it to one Grafana


def test_panels_have_numbers_and_titles_of_their_own(dashboard: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["title"] for panel in dashboard["panels"])


def test_panels_lie_side_by_side(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


def test_every_panel_has_a_unit(dashboard: dict[str, Any]) -> None:
    assert [panel["title"] for panel in dashboard["panels"] if not panel["fieldConfig"]["defaults"].get("unit")] == []


def test_everything_is_asked_of_the_provisioned_source(dashboard: dict[str, Any]) -> None:
    asking = [*dashboard["templating"]["list"], *dashboard["annotations"]["list"], *dashboard["panels"]]
    asking += [target for panel in dashboard["panels"] for target in panel["targets"]]
    asking += [annotation["target"] for annotation in dashboard["annotations"]["list"]]
    assert [one for one in asking if one["datasource"] != SOURCE] == []


def test_targets_of_a_panel_have_letters_of_their_own(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0


@pytest.mark.parametrize("name", ["live", "run"])
def test_annotations_end(name: str) -> None:
    annotations = {annotation["name"]: annotation["target"] for annotation in DASHBOARDS[name]["annotations"]["list"]}
    assert set(annotations) == {"Events", "Captures", "Phases", "Inferences"}
    for target in annotations.values():
        measurement = re.search(r'FROM "(\w+)"', target["query"])
        assert measurement is not None
        selected = re.findall(r'"(\w+)"', target["query"].split(" FROM ")[0])
        columns = ["Time", *(f"{measurement[1]}.{name}" for name in selected)]
        assert shown(target, columns) == {"time": "Time", **{key: f"{measurement[1]}.{name}" for key, name in PARTS.items()}}
        assert target["fromAnnotations"]


PARTS = {"text": "text", "tags": "tags", "end": "end", "title": "kind"}


def shown(target: dict[str, Any], columns: list[str]) -> dict[str, str]:
    """Which column of an answer becomes which part of an annotation, as Grafana chooses (its `transformAnnotationResponse`): the end and
    the title by their whole names, text and tags by a part of them, and what nothing has chosen becomes the title."""
    found: dict[str, str] = {"time": columns[0]}
    for column in columns[1:]:
        if column == target["timeEndColumn"]:
            found["end"] = column
        elif column == target["titleColumn"]:
            found["title"] = column
        elif target["tagsColumn"] in column:
            found["tags"] = column
        elif target["textColumn"] in column:
            found["text"] = column
        else:
            found.setdefault("title", column)
    return found


def test_charts_of_one_figure_over_another_say_for_which_grafana_they_are_made(dashboard: dict[str, Any]) -> None:
    """Without a version Grafana takes them for those of before 11.1, which it converts, and leaves nothing of."""
    charts = [panel for panel in dashboard["panels"] if panel["type"] == "xychart"]
    assert all(tuple(map(int, panel["pluginVersion"].split(".")[:2])) >= (11, 1) for panel in charts)


def test_links_leave_the_time_to_the_dashboard_they_lead_to(dashboard: dict[str, Any]) -> None:
    """Figures are stamped with their run's beginning, which five minutes of live power do not show."""
    assert [link.get("keepTime", False) for link in dashboard["links"]] == [False]
