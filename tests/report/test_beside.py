"""Figures of others beside measured ones: which stand together, and what their ratio is worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.cards.read import card_from, stored
from labd.records import KpiRecord, Mode, OperatingPoint, Provenance
from labd.report.beside import OTHER_NET, beside, beside_table, counterpart, ratio_interval
from labd.report.entries import Entry, Figure, of_card, of_run
from labd.report.paper import TableForm, paper_table

POINT = OperatingPoint(Mode.ALWAYS_ON, 10.0, 3.0, "kws01")
RECORDS = [
    KpiRecord("energy_per_inference.gross", POINT.key, 2e-3, "J", 1e-5, 1.98e-3, 2.02e-3, 60, Provenance.MEASURED, "m"),
    KpiRecord("energy_per_inference.net_of_idle", POINT.key, 1.5e-3, "J", 1e-5, 1.48e-3, 1.52e-3, 60, Provenance.MEASURED, "m"),
    KpiRecord("latency.pin.p95", POINT.key, 4.2e-3, "s", 1e-5, 4.1e-3, 4.3e-3, 60, Provenance.MEASURED, "m"),
    KpiRecord("latency.pin.mean", POINT.key, 4e-3, "s", 1e-5, 3.9e-3, 4.1e-3, 60, Provenance.MEASURED, "m"),
]
RUN = list(of_run("mine", {}, [POINT], RECORDS))


def card(*given: str, name: str = "theirs") -> list[Entry]:
    text = f'schema = 1\ncard = "hardware"\nname = "{name}"\n' + "".join(f"[[given]]\n{one}\n" for one in given)
    return list(of_card(stored(card_from(text, name))))


def energy(value: str, *more: str, model: str = "kws01") -> str:
    return "\n".join((f'id = "energy_per_inference"\n{value}\nunit = "J"\nsource = "p. 3"\nmodel = "{model}"', *more))


def test_a_figure_stands_beside_the_measured_one_of_its_kpi_with_the_ratio() -> None:
    (line,) = beside(RUN, card(energy("value = 1e-3", 'provenance = "estimated"', 'scope = "chip only"')))
    assert (line.measured_kpi, line.ratio) == ("energy_per_inference.gross", 0.5)
    assert [line.ratio_low, line.ratio_high] == pytest.approx([1e-3 / 2.02e-3, 1e-3 / 1.98e-3])
    (row,) = beside_table([line]).rows
    assert row[2:7] == ("2.000 ± 0.020 mJ (energy_per_inference.gross)", "theirs", "[1.000 mJ]", "estimated", "0.5000 ± 0.0051")


def test_lines_keep_the_order_given_whatever_their_figures_are() -> None:
    many = [entry for name, value in (("b", 3), ("a", 1), ("c", 2)) for entry in card(energy(f"value = {value}e-3"), name=name)]
    made = paper_table(TableForm.BESIDE, [*many, *RUN])
    assert [row[3] for row in made.table.rows] == ["b", "a", "c"]
    assert "not in one of merit" in made.notes[0]


def test_another_net_another_unit_and_limits_give_no_ratio_and_say_why() -> None:
    whys = [
        beside(RUN, card(one))[0]
        for one in (energy("value = 1", model="vww01"), energy("value = 1").replace('"J"', '"uJ"'), energy("most = 1"))
    ]
    assert [line.ratio for line in whys] == [None, None, None]
    assert [line.why for line in whys] == [OTHER_NET, "in uJ, measured in J", "their limits alone"]


def test_a_batch_and_what_a_rate_is_part_of_give_no_ratio() -> None:
    (many,) = beside(RUN, card(energy("value = 1e-3", "batch = 8")))
    assert (many.ratio, many.why) == (None, "batch 8, no ratio")
    assert beside_table([many]).rows[0][-1] == "kws01, batch 8"
    assert beside(RUN, card(energy("value = 1e-3", "batch = 1")))[0].ratio == 0.5
    power = KpiRecord("power.mean", POINT.key, 2e-3, "W", 1e-5, 1.98e-3, 2.02e-3, 60, Provenance.MEASURED, "m")
    theirs = energy("value = 1e-3").replace("energy_per_inference", "power.mean").replace('"J"', '"W"')
    (asked,) = beside(list(of_run("mine", {}, [POINT], [power])), card(theirs))
    assert (asked.ratio, asked.why) == (None, "mode and rate not told, no ratio")


def test_a_figure_that_the_run_has_not_is_left_out() -> None:
    assert beside(RUN, card(energy("value = 1").replace("energy_per_inference", "energy_per_op"))) == ()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("latency.p95", "latency.pin.p95"),
        ("latency", "latency.pin.mean"),
        ("latency.pin.p95", "latency.pin.p95"),
        ("latency.host.p95", None),
        ("energy_per_inference.net_of_idle", "energy_per_inference.net_of_idle"),
        ("energy_per_inference.per_event", None),
        ("energy", None),
        ("p95.latency", None),
    ],
)
def test_the_measured_counterpart_says_at_least_what_is_asked(asked: str, found: str | None) -> None:
    own = counterpart(asked, RUN[0].figures)
    assert (own.id if own else None) == found


def test_a_value_that_nobody_measured_is_no_counterpart() -> None:
    assert counterpart("latency", [Figure("latency", None, "s")]) is None


def test_the_ratios_interval_covers_the_truth_as_often_as_it_says() -> None:
    draw, hits, trials = np.random.default_rng(3), 0, 2000
    for a, b in zip(draw.normal(1.0, 0.1, trials), draw.normal(2.0, 0.3, trials), strict=True):
        low, high = ratio_interval((a, (a - 0.196, a + 0.196)), (b, (b - 0.588, b + 0.588)))
        assert low is not None
        hits += low <= 0.5 <= (math.inf if high is None else high)
    assert 0.935 * trials < hits < 0.965 * trials


POSITIVE = st.floats(1e-6, 1e6)


@given(POSITIVE, POSITIVE, st.floats(0, 0.9), st.floats(0, 0.9))
def test_a_ratio_lies_in_its_interval(a: float, b: float, of_a: float, of_b: float) -> None:
    low, high = ratio_interval((a, (a - of_a * a, a + of_a * a)), (b, (b - of_b * b, b + of_b * b)))
    assert low is not None
    assert high is not None
    assert low <= a / b * (1 + 1e-9)
    assert high >= a / b * (1 - 1e-9)
    assert low >= -1e-9 * a / b


def test_a_divisor_that_may_be_zero_bounds_the_ratio_on_one_side_only() -> None:
    low, high = ratio_interval((1.0, None), (1.0, (-0.5, 2.5)))
    assert low == pytest.approx(1 / 2.5)
    assert high is None
    assert ratio_interval((1.0, None), (2.0, None)) == (None, None)
