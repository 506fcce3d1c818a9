"""Markdown, CSV, JSON and terminal text of the same run."""

from __future__ import annotations

import csv as standard_csv
import dataclasses
import io
import json as standard_json
import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.records import KpiRecord, Mode
from labd.report import csv, json, markdown, tables, text, verdict
from labd.report.catalogue import title
from labd.report.data import Outcome, RunReport
from tests.report.hostile import poisoned
from tests.report.sample import break_even, full_report, point, record

FULL = full_report()
SMALL = dataclasses.replace(FULL, kpis=FULL.kpis[:12], series=FULL.series[:2], excerpts=())
ANY_TEXT = st.text(st.characters(exclude_categories=()), min_size=1, max_size=20)
DOCS = Path(__file__).parents[2] / "docs" / "reference"


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.schema())


def loaded(report: RunReport) -> dict[str, Any]:
    found: dict[str, Any] = standard_json.loads(json.render(report))
    return found


def test_the_schema_is_a_valid_schema_and_the_published_copy_is_the_shipped_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json.schema())
    assert json.schema()["$id"] == json.SCHEMA_ID
    assert standard_json.loads((DOCS / "result.schema.json").read_text("utf-8")) == json.schema()


def test_a_full_result_follows_the_schema() -> None:
    validator().validate(loaded(FULL))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["kpis"][0].pop("unit"),
        lambda d: d["kpis"][0].update(u=-1.0),
        lambda d: d["kpis"][0].update(provenance="guessed"),
        lambda d: d["run"].update(extra=1),
        lambda d: d.update(schema="urn:labd:schema:result:2"),
        lambda d: d["captures"][0].update(state="lost"),
    ],
)
def test_the_schema_refuses_what_is_not_a_result(spoil: Any) -> None:
    document = loaded(SMALL)
    spoil(document)
    assert not validator().is_valid(document)


@given(ANY_TEXT)
@settings(max_examples=25, deadline=None)
def test_hostile_names_and_open_intervals_still_make_a_valid_document(poison: str) -> None:
    report = poisoned(SMALL, poison)
    odd = dataclasses.replace(report.kpis[0], value=math.nan, low=1.0, high=math.inf)
    document = standard_json.loads(json.render(dataclasses.replace(report, kpis=(odd, *report.kpis[1:]))))
    validator().validate(document)
    assert (document["kpis"][0]["value"], document["kpis"][0]["high"], document["kpis"][0]["bound"]) == (None, None, "lower")


def test_json_keeps_every_digit() -> None:
    first = loaded(FULL)["kpis"][5]
    assert (first["value"], first["u"], first["low"], first["high"]) == (
        FULL.kpis[5].value,
        FULL.kpis[5].u,
        FULL.kpis[5].low,
        FULL.kpis[5].high,
    )
    assert first["budget"][0]["u"] == FULL.kpis[5].budget[0].u


@given(ANY_TEXT)
@settings(max_examples=25, deadline=None)
def test_csv_reads_back_row_for_row(poison: str) -> None:
    report = poisoned(SMALL, poison)
    rows = list(standard_csv.DictReader(io.StringIO(csv.render(report), newline="")))
    every = tables.everything(report)
    assert [(r["id"], r["at"], r["note"]) for r in rows] == [(k.id, k.at, k.note) for k in every]
    assert [r["value"] for r in rows] == ["" if k.value is None else repr(k.value) for k in every]


def test_csv_has_one_row_a_figure_and_ends_lines_as_rfc_4180_says() -> None:
    written = csv.render(FULL)
    assert written.count("\r\n") == len(tables.everything(FULL)) + 1
    assert "\n" not in written.replace("\r\n", "")
    names = [(r.id, r.at) for r in tables.everything(FULL)]
    assert len(names) == len(set(names))


def test_withheld_figures_are_in_csv_without_a_value() -> None:
    rows = [r for r in standard_csv.DictReader(io.StringIO(csv.render(FULL), newline="")) if not r["value"]]
    assert {r["note"] for r in rows} == {"samples missing in the only capture", "shorter than one record of 20.48 µs"}


@given(ANY_TEXT)
@settings(max_examples=25, deadline=None)
def test_no_name_breaks_a_markdown_table(poison: str) -> None:
    def shape(written: str) -> list[int]:
        unescaped = written.replace("\\\\", "").replace("\\|", "")
        return [line.count("|") for line in unescaped.split("\n") if line.startswith("| ")]

    assert shape(markdown.render(poisoned(SMALL, poison))) == shape(markdown.render(poisoned(SMALL, "x")))


def test_markdown_holds_the_verdict_the_summary_and_the_limits() -> None:
    written = markdown.render(FULL)
    assert "Event-reload needs less power than always-on below 20.1 /s" in written
    assert "| 5 /s | 2.234 ± 0.018 mW | 446.8 ± 3.5 µJ |" in written
    assert "| Floor power, event-sleep | 7.50 ± 0.18 µW | 64 % of u²" in written
    outside_code = [line for line in markdown.render(poisoned(SMALL, "<script>")).split("\n") if not line.startswith("    ")]
    assert "<script>" not in "\n".join(outside_code)


def test_the_terminal_shows_each_mode_and_rate_with_its_u95() -> None:
    lines = text.render(FULL).splitlines()
    start = lines.index("event-reload")
    assert lines[start + 2].split("  ")[0] == "0.5 /s"
    assert "288.3 ± 2.3 µW" in lines[start + 2]
    assert "5.500 ± 0.032 ms" in lines[start + 2]
    assert lines[start + 7].endswith("gap")
    assert max(map(len, lines)) <= text.WIDTH


def test_a_lower_bound_of_the_wake_up_is_marked_and_used_only_where_there_is_no_better() -> None:
    at = point(Mode.EVENT_SLEEP, 5.0).key
    rise = record("wake_up.current_rise_to_ready", at, 1.1e-3, "s")
    gone = dataclasses.replace(rise, id="wake_up.total", value=None, u=None, low=None, high=None, flags=("no common axis",))
    others = tuple(r for r in FULL.kpis if not (r.at == at and r.id.startswith("wake_up")))

    def shown(*more: KpiRecord) -> str:
        return tables.summary(dataclasses.replace(FULL, kpis=(*others, *more)))["event-sleep"].rows[3][-1]

    assert shown(rise) == shown(gone, rise) == "≥ 1.1000 ± 0.0086 ms"
    assert shown(gone) == "no common axis"
    assert shown(rise, dataclasses.replace(rise, id="wake_up.total")) == "1.1000 ± 0.0086 ms"


def test_the_terminal_text_can_do_without_unicode() -> None:
    written = text.render(FULL, ascii_only=True)
    assert written.isascii()
    assert "446.8 +- 3.5 uJ" in written


@given(ANY_TEXT)
@settings(max_examples=25, deadline=None)
def test_no_name_steers_the_terminal(poison: str) -> None:
    written = text.render(poisoned(SMALL, poison))
    assert all(c.isprintable() or c == "\n" for c in written)
    assert text.render(poisoned(SMALL, poison), ascii_only=True).isascii()


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (Outcome.FIRST_ALWAYS, "Event-sleep needs less power than always-on at every rate that both can serve."),
        (Outcome.SECOND_ALWAYS, "Always-on needs less power than event-sleep at every rate that both can serve."),
    ],
)
def test_a_comparison_without_a_crossing_says_who_wins(outcome: Outcome, sentence: str) -> None:
    item = break_even(Mode.EVENT_SLEEP, Mode.ALWAYS_ON, outcome)
    report = dataclasses.replace(FULL, break_evens=(dataclasses.replace(item, record=dataclasses.replace(item.record, value=None)),))
    assert verdict.verdicts(report) == [sentence]


def test_the_largest_term_of_the_budget_is_named_with_what_would_narrow_it() -> None:
    value = record("power.mean", point(Mode.ALWAYS_ON, 5).key, 1.0, "W")
    assert verdict.limit_sentence(value) == "64 % of u² comes from smu current [100 mA] gain. " + (
        "Only a better calibration of the meter's range narrows it; more inferences do not."
    )
    assert sum(share for _, share in verdict.shares(value)) == pytest.approx(1)


def test_terms_of_one_name_are_added_with_their_sign_before_they_are_squared() -> None:
    value = record("power.mean", "x", 1.0, "W")
    lines = (*value.budget, dataclasses.replace(value.budget[1], u=-value.budget[1].u))
    shares = {term.name: share for term, share in verdict.shares(dataclasses.replace(value, budget=lines))}
    assert shares["smu:current[0.1 A].gain"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("kpi", "words"),
    [
        ("latency.pin.p95", "Latency, by marker pin, p95"),
        ("power.peak[1 ms]", "Peak power [1 ms]"),
        ("energy_per_inference.gross", "Energy per inference, gross"),
        ("something_new.of_this", "something new.of this"),
    ],
)
def test_ids_have_titles_and_unknown_ones_are_still_readable(kpi: str, words: str) -> None:
    assert title(kpi) == words


def test_points_that_differ_in_more_than_mode_and_rate_say_so() -> None:
    other = dataclasses.replace(point(Mode.ALWAYS_ON, 5.0), model="snn")
    report = dataclasses.replace(FULL, points=(*FULL.points, other))
    assert set(tables.summary(report)) == {"always-on, dnn", "event-sleep, dnn", "event-reload, dnn", "always-on, snn"}
