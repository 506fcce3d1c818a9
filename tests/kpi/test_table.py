"""Every row of the paper's table 1.1 stands in labd's, and what is emitted is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.kpi.estimate import unit_of
from labd.kpi.reference import PAGE, page
from labd.kpi.table import Domain, begins, find, row_of, rows
from labd.records import Provenance
from labd.report.catalogue import TITLES

# typed from the paper, table 1.1: labels in its order, with those that its rows lost where their definitions stand
PAPER = {
    Domain.TASK: (
        "Objective function",
        "(Balanced) Accuracy",
        "Precision",
        "True Positive Rate (TPR) / Sensitivity / Recall",
        "True Negative Rate (TNR) / Specificity",
        "False Positive Rate (FPR)",
        "Mean average precision (mAP)",
        "F1-Score",
        "Receiver operating characteristic (ROC)",
        "Area under the curve (AOC)",
    ),
    Domain.MODEL: (
        "Complexity",
        "Parameters",
        "Precision",
        "Structure",
        "Sparsity",
        "Maximum Activation",
        "Spike Count",
        "Spike rate / Spike Frequency",
        "SynOps",
    ),
    Domain.HARDWARE: (
        "(Idle/Peak) Power consumption",
        "(Peak)",
        "Die size",
        "Memory size",
        "Memory bandwidth",
        "Energy per operation",
        "Mean energy per SynOp",  # "Energy per synaptic operations", its label lost
        "Mean energy per spike",
        "Energy efficiency",
        "Area efficiency",
        "Precision",
        "Network size",  # "Size constraints of network architecture", its label lost
        "Max. frequency",  # "Maximum frequency of the hardware", its label lost
    ),
    Domain.COMBINED: ("Wake-up time", "Latency", "Inference rate / Throughput", "Energy per inference"),
}
UNITS = {
    "Complexity": "1",
    "Die size": "m2",
    "Memory size": "By",
    "Memory bandwidth": "bit/s",
    "Energy per operation": "J",
    "Mean energy per spike": "J",
    "Energy efficiency": "1/J",
    "Area efficiency": "1/(s.m2)",
    "Max. frequency": "Hz",
    "Wake-up time": "s",
    "Latency": "s",
    "Inference rate / Throughput": "Hz",
    "Energy per inference": "J",
    "Spike rate / Spike Frequency": "Hz",
}


def test_every_row_of_the_paper_s_table_is_there_in_its_order() -> None:
    assert {domain: tuple(row.printed for row in rows(domain) if row.printed) for domain in PAPER} == PAPER


def test_every_row_says_all_that_a_reader_asks() -> None:
    for row in rows():
        assert all((row.definition, row.formula, row.unit, row.provenance, row.obtained)), row.id
        assert row.records or row.carried, row.id
    assert len({row.id for row in rows()}) == len(rows())


def test_units_are_those_of_the_definition_and_not_of_the_printed_row() -> None:
    found = {row.printed: row.unit for row in rows()}
    assert {printed: found[printed] for printed in UNITS} == UNITS


def test_the_formulas_that_the_paper_has_wrong_are_repaired() -> None:
    assert {row.id: row.formula for row in rows(Domain.TASK) if row.id in ("task.recall", "task.specificity", "task.precision")} == {
        "task.precision": "TP / (TP + FP), one class against the rest; macro: mean over classes.",
        "task.recall": "TP / (TP + FN)",
        "task.specificity": "TN / (TN + FP)",
    }


def test_no_record_belongs_to_two_rows() -> None:
    beginnings = [record for row in rows() for record in row.records]
    assert len(beginnings) == len(set(beginnings))


def test_the_unit_of_a_row_is_that_of_its_records() -> None:
    combined = [row for row in rows(Domain.COMBINED) if Provenance.DECLARED not in row.provenance]
    for row in (*combined, *(row for row in rows(Domain.HARDWARE) if Provenance.COMPUTED in row.provenance)):
        for record in row.records:
            if not record.startswith("hardware.") and "," not in row.unit:
                assert unit_of(record) == row.unit, record


def test_every_title_of_a_report_is_a_kpi_of_the_table() -> None:
    families = {"task", "model", "power", "fit"}  # headings of several rows
    assert [name for name in TITLES if name not in families and row_of(name) is None and not any(r.carries(name) for r in rows())] == []


def test_the_page_is_current() -> None:
    assert (Path(__file__).parents[2] / PAGE).read_text("utf-8") == page(), "python -m labd.cli.kpis_page writes it again"


@pytest.mark.parametrize("asked", ["latency", "LATENCY", "latency.pin.p95", "Latency"])
def test_a_kpi_is_found_by_id_record_and_name(asked: str) -> None:
    found = find(asked)
    assert found is not None
    assert found.id == "latency"


@given(st.sampled_from([record for row in rows() for record in row.records]), st.sampled_from([".p95", "[1ms]", ".macro[3]"]))
def test_what_lies_below_an_id_is_of_its_row_and_what_only_begins_like_it_is_not(record: str, more: str) -> None:
    assert row_of(record + more) == row_of(record)
    assert not begins(record + "s", record)
