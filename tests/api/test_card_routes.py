"""Cards over HTTP: checked, to fill in, of a run, in tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from labd import resources
from labd.analyse.side import compare_runs
from labd.cards.disclosure import ASKED
from labd.cards.read import card_from, stored
from labd.cards.template import template
from labd.report.charts import Asked, ChartForm, charts
from labd.report.entries import of_card
from labd.report.paper import TableForm, paper_table
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from labd.store.rows import NewRun
from tests.api.served import Api, api
from tests.cards.fair_runs import first, measured, second, store, with_bench
from tests.models.architectures import ds_cnn

PAPER = resources.path("fixtures") / "cards/paper"
TASK = (resources.path("fixtures") / "cards/demo/task.toml").read_text("utf-8")


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path) as found:
        yield found


async def test_a_card_is_checked_and_a_wrong_one_is_told_by_key(given: Api) -> None:
    right = await given.ask("POST", "cards/check", json={"text": TASK})
    assert (right.status_code, right.json()["untold"]) == (200, [])
    assert right.json()["card"] == stored(card_from(TASK, "card"))
    wrong = await given.ask("POST", "cards/check", json={"text": TASK.replace("metric", "metrik")})
    assert wrong.status_code == 422
    assert "metrik: no such key; did you mean metric?" in wrong.text.replace('\\"', "")


async def test_a_key_of_countless_parts_is_refused_before_it_is_read(given: Api) -> None:
    """Time and memory of reading one grow with the square of its parts."""
    dotted = "a" + 101 * ".a" + " = 1\n"
    asked = {"cards/check": {"text": dotted}, "tables": {"form": "1.2", "cards": [dotted]}, "charts": {"form": "radar", "cards": [dotted]}}
    for path, body in asked.items():
        answer = await given.ask("POST", path, json=body)
        assert answer.status_code == 422
        assert "a key of more than 100 parts" in answer.text


async def test_others_are_answered_while_a_large_card_is_read(given: Api) -> None:
    large = asyncio.create_task(given.ask("POST", "cards/check", json={"text": TASK + "".join(f"k{n} = 1\n" for n in range(15_000))}))
    for _ in range(3):
        assert (await given.ask("GET", "cards/model/template")).status_code == 200
    assert not large.done()
    assert (await large).status_code == 422


async def test_a_card_to_fill_in_is_the_one_that_the_command_writes(given: Api) -> None:
    assert (await given.ask("GET", "cards/model/template")).json() == {"text": template("model")}


async def test_a_run_tells_its_cards_and_what_they_leave_out(given: Api) -> None:
    cards = {"task": stored(card_from(TASK, "task"))}
    run = (await given.services.catalogue.do(lambda c: c.runs.create(NewRun("b", "", "p", "", cards=cards), []))).id
    found = (await given.ask("GET", f"runs/{run}/cards")).json()
    assert (found["cards"], found["complete"]) == (cards, False)
    by_item = {item["item"]: item for item in found["disclosure"]}
    assert by_item["Task and objective"]["value"] == cards["task"]["objective"]
    assert by_item["Process node"]["missing"] == "hardware card: process_node"
    asked = [item for item in found["disclosure"] if item["missing"]]
    assert {item["item"] for item in asked} == {one.item for one in ASKED if one.card not in ("task", "model")}
    assert all(item["why"] for item in asked)


@pytest.mark.parametrize("form", [TableForm.DETECTION, TableForm.COMBINED])
async def test_a_table_is_the_one_that_the_command_prints(form: TableForm, given: Api) -> None:
    texts = [file.read_text("utf-8") for file in sorted((PAPER / f"table-{form}").glob("*.toml"))]
    found = (await given.ask("POST", "tables", json={"form": form, "cards": texts})).json()
    made = paper_table(form, [entry for text in texts for entry in of_card(stored(card_from(text, "c")))])
    assert found["rows"] == [list(row) for row in made.table.rows]
    assert (found["head"], found["notes"]) == (list(made.table.head), list(made.notes))
    assert (await given.ask("POST", "tables", json={"form": form, "paper": True})).json() == found


async def test_a_table_of_a_wrong_card_or_of_no_such_run_is_refused(given: Api) -> None:
    wrong = await given.ask("POST", "tables", json={"form": "1.2", "cards": [TASK, "card = 3"]})
    assert wrong.status_code == 422
    assert "cards[1]" in wrong.text
    assert wrong.json()["title"] == "a file, or what it names, is wrong"
    assert (await given.ask("POST", "tables", json={"form": "1.2", "runs": ["r00000000"]})).status_code == 404
    unprinted = await given.ask("POST", "tables", json={"form": "multi-metric", "paper": True})
    assert (unprinted.status_code, "the paper prints no multi-metric table" in unprinted.text) == (422, True)


async def test_charts_of_cards_come_as_tables_and_as_a_picture(given: Api) -> None:
    texts = [file.read_text("utf-8") for file in sorted((PAPER / "table-1.3").glob("*.toml"))]
    body = {"form": "pareto", "cards": texts, "picture": "html"}
    found = (await given.ask("POST", "charts", json=body)).json()
    (made,) = charts(Asked(ChartForm.PARETO), [entry for text in texts for entry in of_card(stored(card_from(text, "x")))], [])
    assert found["charts"][0]["tables"][0]["rows"] == [list(row) for row in made.tables[0].rows]
    assert found["charts"][0]["notes"] == list(made.notes)
    assert found["picture"].startswith("<!DOCTYPE html>")
    assert "<script" not in found["picture"]
    assert (await given.ask("POST", "charts", json={**body, "cards": ["card = 3"]})).status_code == 422
    misspelt = await given.ask("POST", "charts", json={**body, "energy": "grosss"})
    assert (misspelt.status_code, "energy: expected one of gross, per_event" in misspelt.text) == (422, True)
    assert (await given.ask("POST", "charts", json={"form": "break-even", "runs": ["r00000000"]})).status_code == 404


def left(folder: Path) -> list[Path]:
    return list(folder.rglob("in-*"))


async def test_a_model_file_is_read_and_not_kept(given: Api, tmp_path: Path) -> None:
    octets = {"content-type": "application/octet-stream"}
    answered = await given.ask("POST", "models?ending=onnx", content=ds_cnn(), headers=octets)
    assert answered.status_code == 200
    found = {one["id"]: one["value"] for one in answered.json()}
    assert (found["model.macs"], found["model.parameters"]) == (2_656_768, 22_604)
    wrong = await given.ask("POST", "models?ending=tflite", content=b"nothing", headers=octets)
    assert wrong.status_code == 422
    assert "no TFLite model" in wrong.text
    assert str(tmp_path) not in wrong.text
    assert (await given.ask("POST", "models?ending=exe", content=b"MZ", headers=octets)).status_code == 422
    assert (await given.ask("POST", "models?ending=onnx", json={})).status_code == 415
    assert left(tmp_path) == []


@pytest.fixture(scope="module")
def computed() -> None:
    """The figures of the runs to compare, which take a while: not in the loop of a test."""
    measured()


async def test_runs_are_compared_as_the_command_does_it(computed: None, tmp_path: Path) -> None:
    runs = [store(tmp_path / "store", first()), store(tmp_path / "store", with_bench("bench.ambient.value", 40.0)(second()), hours=1)]
    with Catalogue.open_read_only(tmp_path / "store") as catalogue:
        here = to_json(compare_runs(catalogue, runs))
    async with api(tmp_path) as given:
        asked = "&".join(f"run={run}" for run in runs)
        found = await given.ask("GET", f"compare?{asked}")
        assert (found.status_code, found.json()) == (200, here)
        assert {one["rule"] for one in found.json()["findings"] if one["severity"] == "refuse"} == {"C18"}
        alone = await given.ask("GET", f"compare?run={runs[0]}")
        assert alone.status_code == 422
        assert "two sides or more are compared" in alone.text
        assert (await given.ask("GET", f"compare?{asked}&model=snn")).status_code == 422
        assert (await given.ask("GET", f"compare?run={runs[0]}&run=r00000000")).status_code == 404
