"""Every row of the paper's table 1.1 is in a report, with its figures, a card's words, or the reason why there is neither."""

from __future__ import annotations

import dataclasses
import json as standard_json

import jsonschema
import pytest

from labd import resources
from labd.cards.read import card_from, stored
from labd.kpi.table import rows
from labd.report import html, json, markdown
from labd.report.table_one import RowAnswer, answers, table
from tests.report.sample import full_report, withheld

CARDS = resources.path("fixtures") / "cards/demo"
FULL = full_report()


def cards(**files: str) -> dict[str, object]:
    found = {kind: stored(card_from((CARDS / file).read_text("utf-8"), file)) for kind, file in files.items()}
    return {kind: {"dnn": card} if kind == "model" else card for kind, card in found.items()}


DEMO = dataclasses.replace(FULL, cards=cards(task="task.toml", hardware="hardware-virtual-m4.toml", model="model-dnn.toml"))


def of(report: object = DEMO) -> dict[str, RowAnswer]:
    return {one.row.id: one for one in answers(report)}  # type: ignore[arg-type]


@pytest.mark.parametrize("report", [FULL, DEMO, dataclasses.replace(FULL, kpis=(), curves=(), phase_energies=(), edge_cases=())])
def test_each_row_of_the_paper_has_figures_words_or_a_reason(report: object) -> None:
    found = of(report)
    assert list(found) == [row.id for row in rows() if row.printed]
    assert [one.row.id for one in found.values() if not (one.valued or one.told or one.why)] == []


def test_a_measured_row_has_its_figures_and_a_declared_one_its_card() -> None:
    found = of()
    assert {r.id for r in found["latency"].valued} == {"latency.pin.mean", "latency.pin.p95"}
    assert found["hardware.memory_bandwidth"].told == "not modelled"
    assert found["model.precision"].told == "weight bits 8, biases 32; activation bits 8"
    assert found["model.sparsity"].told == "weight sparsity 0 %; activation sparsity unknown, as the card says"
    assert found["task.objective"].told.startswith("objective tell which of 12 classes")


def test_what_is_not_there_says_what_it_needs() -> None:
    found = of()
    assert found["task.accuracy"].why == "no accuracy run of this board and model: labd accuracy BENCH DATASET"
    assert found["area_efficiency"].why == "needs known MACs and a hardware card with the die area; the card says: none"
    assert found["energy_per_spike"].why == "the net has no spikes: its model card says dnn"
    assert of(FULL)["hardware.die_area"].why == "the hardware card does not tell it: die_area"
    assert of(FULL)["energy_per_op"].why == "needs known MACs"


def test_a_row_whose_figures_were_withheld_gives_their_reason() -> None:
    gone = withheld("wake_up.total", "x", "s", "gap", "samples missing")
    kpis = tuple(r for r in FULL.kpis if not r.id.startswith("wake_up"))
    report = dataclasses.replace(FULL, kpis=(*kpis, gone), edge_cases=())
    assert of(report)["wake_up"].why == "gap; samples missing"


def test_every_form_of_a_report_has_the_table() -> None:
    document = standard_json.loads(json.render(DEMO))
    jsonschema.Draft202012Validator(json.schema()).validate(document)
    assert [one["id"] for one in document["table_1_1"]] == [row.id for row in rows() if row.printed]
    assert len(table(DEMO).rows) == len(document["table_1_1"])
    for rendered in (html.render(DEMO), markdown.render(DEMO)):
        assert "Why not" in rendered
        assert "the net has no spikes" in rendered
