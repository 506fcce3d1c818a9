"""The HTML page: whole, self-contained, accessible, and unbreakable by names."""

from __future__ import annotations

import dataclasses
import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.records import KpiRecord, Mode
from labd.report import axes, html, plot_ecdf, plot_trace
from labd.report.axes import Linear
from labd.report.data import Detector, Outcome, RunReport
from labd.report.rate_line import half_band
from tests.report.hostile import poisoned
from tests.report.sample import break_even, excerpt, full_report, point

SVG = "{http://www.w3.org/2000/svg}"
FULL = full_report()
# A small one, so that hundreds of hostile pages render quickly.
SMALL = dataclasses.replace(FULL, kpis=FULL.kpis[:12], series=FULL.series[:4], excerpts=(excerpt(Mode.EVENT_SLEEP, points=40),))
EMPTY = dataclasses.replace(
    FULL,
    points=(),
    captures=(),
    kpis=(),
    curves=(),
    break_evens=(),
    phase_energies=(),
    excerpts=(),
    series=(),
    notices=(),
    edge_cases=(),
    disclosure=(),
)


def tree(report: RunReport) -> ElementTree.Element:
    """The page as XML: fails on any tag or attribute that is not closed, nested or quoted as it should be."""
    return ElementTree.fromstring(html.render(report).removeprefix("<!DOCTYPE html>\n"))


def text_of(report: RunReport) -> str:
    return " ".join("".join(tree(report).itertext()).split())


@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_no_name_breaks_the_page(poison: str) -> None:
    page = tree(poisoned(SMALL, poison))
    assert {e.tag.removeprefix(SVG) for e in page.iter()} == {e.tag.removeprefix(SVG) for e in tree(poisoned(SMALL, "x")).iter()}
    assert not [name for e in page.iter() for name in e.attrib if name.startswith("on")]


@pytest.mark.parametrize(
    "poison", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style><b>", "</title>", "&amp;", "--><x>", "'\x00\ud800"]
)
def test_known_attacks_end_as_text(poison: str) -> None:
    written = html.render(poisoned(SMALL, poison))
    assert "<script" not in written
    assert "<img" not in written
    assert written.count("<b>") == html.render(poisoned(SMALL, "x")).count("<b>")
    assert written.encode("utf-8")


def test_the_page_fetches_nothing() -> None:
    written = html.render(FULL)
    addresses = re.findall(r'(?:src|href|url|action|data)\s*[=(]\s*"?([^">\s]+)', written)
    assert {a[0] for a in addresses} == {"#"}
    assert "@import" not in written
    assert "default-src &#x27;none&#x27;" in written


def test_ids_are_unique_and_every_link_and_label_finds_its_target() -> None:
    page = tree(FULL)
    ids = [e.attrib["id"] for e in page.iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids))
    wanted = {e.attrib["href"].removeprefix("#") for e in page.iter("a")}
    wanted |= {name for e in page.iter() for name in e.attrib.get("aria-labelledby", "").split()}
    assert wanted <= set(ids)


def test_every_figure_has_a_name_and_a_description_in_words() -> None:
    figures = [e for e in tree(FULL).iter(f"{SVG}svg") if e.attrib.get("role") == "img"]
    assert len(figures) > 20
    for figure in figures:
        assert (figure.findtext(f"{SVG}title") or "").strip()
        assert len(figure.findtext(f"{SVG}desc") or "") > 20


def test_every_table_heading_has_a_scope() -> None:
    assert {th.attrib.get("scope") for th in tree(FULL).iter("th")} == {"col", "row", "rowgroup"}


def test_the_headline_names_board_break_even_and_detector() -> None:
    text = text_of(FULL)
    assert "virtual-m4" in text
    assert "Event-reload needs less power than always-on below 20.1 /s (95 %: 19.3..21.3 /s), and more above it." in text
    assert "none, host-triggered" in text


def test_an_extrapolated_break_even_is_called_so() -> None:
    assert "extrapolated" in text_of(FULL)
    inside = dataclasses.replace(FULL, break_evens=(break_even(Mode.EVENT_RELOAD, Mode.ALWAYS_ON),))
    assert "extrapolated" not in text_of(inside)


def test_withheld_figures_are_printed_with_their_reason() -> None:
    text = text_of(FULL)
    assert "samples missing in the only capture" in text
    assert "shorter than one record of 20.48 µs" in text


def test_what_is_not_disclosed_is_said() -> None:
    rows = {th.text: td.text for tr in tree(FULL).iter("tr") if (th := tr.find("th")) is not None and (td := tr.find("td")) is not None}
    assert rows["Process node"] == "not disclosed"


def test_an_incomplete_run_and_a_simulated_bench_are_said_before_any_figure() -> None:
    broken = dataclasses.replace(FULL, run=dataclasses.replace(FULL.run, complete=False, state="interrupted"))
    header = tree(broken).find("body/header")
    assert header is not None
    text = "".join(header.itertext())
    assert "not complete (state: interrupted)" in text
    assert "nothing about real silicon" in text


def test_a_run_without_any_figure_still_makes_a_page() -> None:
    text = text_of(EMPTY)
    assert "No warning" in text
    assert "at no rate" in text


def test_figures_without_values_or_intervals_do_not_break_the_plots() -> None:
    def spoiled(record: KpiRecord, kind: int) -> KpiRecord:
        ends = [(None, None, None, None), (0.0, None, None, None), (-1e-6, 1e-6, -3e-6, math.inf), (math.nan, None, None, None)][kind % 4]
        return dataclasses.replace(record, value=ends[0], u=ends[1], low=ends[2], high=ends[3])

    curves = tuple(
        dataclasses.replace(c, points=tuple(dataclasses.replace(p, power=spoiled(p.power, k)) for k, p in enumerate(c.points)))
        for c in FULL.curves
    )
    phases = tuple(dataclasses.replace(p, energy=spoiled(p.energy, k)) for k, p in enumerate(FULL.phase_energies))
    series = tuple(dataclasses.replace(s, values=(math.nan, 1e-6, 1e-6)) for s in FULL.series)
    page = html.render(dataclasses.replace(FULL, curves=curves, phase_energies=phases, series=series))
    assert not re.findall(r"\b(?:nan|inf)\b", page)


def test_a_fit_band_is_the_propagated_uncertainty_of_the_line() -> None:
    fit = FULL.curves[1].fit
    assert fit is not None
    assert fit.floor.u is not None
    assert fit.incremental.u is not None
    assert half_band(fit, 0.0) == pytest.approx(1.96 * fit.floor.u)
    far = half_band(dataclasses.replace(fit, covariance_wj=0.0), 1e9)
    assert far == pytest.approx(1.96e9 * fit.incremental.u)
    without = half_band(dataclasses.replace(fit, covariance_wj=0.0), 20.0)
    assert (half_band(fit, 20.0) or 0.0) < (without or 0.0)


def test_the_trace_keeps_every_extreme_of_the_envelope_when_it_joins_columns() -> None:
    item = excerpt(Mode.EVENT_SLEEP, points=2000)
    spike = dataclasses.replace(item, high_w=(*item.high_w[:777], 0.5, *item.high_w[778:]))
    columns = plot_trace.merge(spike, Linear(item.t_s[0], item.t_s[-1], 0, 300))
    assert len(columns) <= 300
    assert max(c[3] for c in columns) == 0.5
    assert min(c[1] for c in columns) == min(item.low_w)


def test_an_ecdf_ends_at_one_at_the_largest_value() -> None:
    x, y = axes.linear([1.0, 5.0], 0, 100), Linear(0.0, 1.0, 100, 0)
    corners = plot_ecdf.steps([5.0, 1.0, 2.0, 2.0], x, y)
    assert corners[0] == (x.at(1.0), 100.0)
    assert corners[-1] == (x.at(5.0), 0.0)
    assert (x.at(2.0), y.at(0.75)) in corners
    assert len(plot_ecdf.steps([float(k) for k in range(100_000)], x, y)) < 1000


def test_one_quantity_a_mode_is_drawn_though_several_were_recorded() -> None:
    host = tuple(dataclasses.replace(s, quantity="latency.host") for s in FULL.series if s.quantity == "latency.pin")
    shown = plot_ecdf.curves(dataclasses.replace(FULL, series=(*host, *FULL.series)), "latency")
    assert {s.quantity for row in shown.values() for _, s in row} == {"latency.pin"}
    assert [p.rate_hz for p, _ in shown[Mode.EVENT_SLEEP]] == [0.5, 2.0, 5.0, 10.0, 20.0, 35.0]


def test_two_curves_and_excerpts_of_one_mode_can_be_told_apart() -> None:
    twin = dataclasses.replace(FULL.curves[1], key="event_sleep/v=3/snn")
    report = dataclasses.replace(FULL, curves=(*FULL.curves, twin), excerpts=FULL.excerpts * 2)
    page = tree(report)
    assert [e for e in page.iter(f"{SVG}g") if e.attrib.get("class") == "m-event_sleep alt1"]
    ids = [e.attrib["id"] for e in page.iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids))


def test_an_unresolved_break_even_gives_words_and_no_line() -> None:
    lost = break_even(Mode.EVENT_SLEEP, Mode.ALWAYS_ON, Outcome.NOT_RESOLVED)
    lost = dataclasses.replace(
        lost, record=dataclasses.replace(lost.record, value=None, u=None, low=None, high=None, note="interval is unbounded")
    )
    report = dataclasses.replace(FULL, break_evens=(lost,))
    assert "The break-even rate of event-sleep and always-on is not resolved: interval is unbounded." in text_of(report)
    assert 'class="crossing"' not in html.render(report)


def test_a_measured_detector_is_printed_with_its_power() -> None:
    power = next(r for r in FULL.kpis if r.at == point(Mode.EVENT_SLEEP, 0).key)
    report = dataclasses.replace(FULL, detector=Detector("measured", "analogue comparator", power))
    assert "Event detector: analogue comparator. Its power, 7.50 ± 0.18 µW, is part of" in text_of(report)


def test_the_page_is_the_same_each_time_and_not_large() -> None:
    written = html.render(FULL)
    assert written == html.render(full_report())
    assert len(written) < 800_000
