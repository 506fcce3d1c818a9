"""An accuracy run of the same board and model stands beside the energy of a run: in its figures, in result.json and in the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from labd.analyse.entries import entries_of_runs
from labd.analyse.report import report_of
from labd.analyse.side import sides_of
from labd.analyse.tasks import chart
from labd.cards.side import Scored
from labd.kpi.task import task_kpis
from labd.report import json as result_json
from labd.report import markdown
from labd.report.charts import Asked, ChartForm
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from tests.analyse.stored_run import copy_of_a_run

LABELS = [0, 0, 1, 1, 1, 0]
SCORES = [[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7], [0.6, 0.4], [0.8, 0.2]]


def scored(store: Path, name: str, **changed: Any) -> None:
    """An accuracy run that has ended."""
    report = report_of(store, "latest")
    model = report.points[0].model
    task = to_json(task_kpis(LABELS, SCORES, at=model, resamples=20))
    document = {"board": report.board.name, "model": model, "dataset": "words", "dataset_sha256": "ab", "task": task, **changed}
    (store / "accuracy" / name).mkdir(parents=True)
    (store / "accuracy" / name / "result.json").write_text(json.dumps(document))


def joined(store: Path) -> dict[str, float | None]:
    return {record.id: record.value for record in report_of(store, "latest").kpis if record.id.startswith("task.")}


def test_accuracy_stands_beside_the_energy(tmp_path: Path) -> None:
    copy_of_a_run(tmp_path)
    assert joined(tmp_path) == {}
    scored(tmp_path, "20261123-150000-words")
    assert joined(tmp_path)["task.accuracy"] == 4 / 6
    report = report_of(tmp_path, "latest")
    document = result_json.document(report)
    jsonschema.validate(json.loads(result_json.render(report)), result_json.schema())
    (task,) = document["task"]
    assert (task["session"], task["samples"], task["confusion"]) == ("20261123-150000-words", 6, [[2, 1], [1, 2]])
    assert task["roc"]["1"][-1] == [1.0, 1.0]
    assert {"task.accuracy", "energy_per_inference.gross"} <= {record["id"] for record in document["kpis"]}
    assert "Task accuracy" in markdown.render(report).replace(",", "")


def test_the_newest_one_counts(tmp_path: Path) -> None:
    copy_of_a_run(tmp_path)
    newer = task_kpis([0, 1], [[0.9, 0.1], [0.1, 0.9]], at="net", resamples=2)
    scored(tmp_path, "20261124-150000-words", task=to_json(newer))
    scored(tmp_path, "20261123-150000-words")
    assert joined(tmp_path)["task.accuracy"] == 1


@pytest.mark.parametrize("changed", [{"board": "another"}, {"model": "another"}, {"task": None}, {"task": {"records": 3}}])
def test_one_of_another_board_or_model_or_an_unreadable_one_is_left_out(tmp_path: Path, changed: dict[str, Any]) -> None:
    copy_of_a_run(tmp_path)
    scored(tmp_path, "20261123-150000-words", **changed)
    assert joined(tmp_path) == {}


def test_a_chart_and_a_table_of_the_run_have_it_too(tmp_path: Path) -> None:
    copy_of_a_run(tmp_path)
    scored(tmp_path, "20261123-150000-words")
    made = chart(tmp_path, Asked(ChartForm.PARETO), ["latest"], [], "svg")
    (table,) = made.charts[0].tables
    assert table.head[1:3] == ("Accuracy", "Energy per inference (gross)")
    assert {row[1] for row in table.rows} == {"0.67 (0.30..0.90)"}
    assert made.picture.count("<title") == 3  # all three planes have points now


def test_what_is_of_a_candidate_stands_beside_its_own_run_everywhere_and_beside_no_other(tmp_path: Path) -> None:
    run = copy_of_a_run(tmp_path)
    scored(tmp_path, "20261123-150000-words", of="search-1/3")

    def attached() -> tuple[set[float | None], set[Scored | None], set[float | None]]:
        with Catalogue.open_read_only(tmp_path) as catalogue:
            lines, sides = entries_of_runs(catalogue, [run]), sides_of(catalogue, run)
        in_lines = {figure.value for one in lines for figure in one.figures if figure.id == "task.accuracy"}
        in_sides = {figure.record.value for side in sides for figure in side.of("task.accuracy")}
        return in_lines, {side.scored for side in sides}, in_sides

    assert attached() == (set(), {None}, set())
    with Catalogue.open(tmp_path) as catalogue:
        catalogue.runs.annotate(run, add_tags=["search-1/3"])
    assert attached() == ({4 / 6}, {Scored("words", "ab", 6)}, {4 / 6})
