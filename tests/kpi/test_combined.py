"""Figures that join two others: by hand, and with the errors that both share."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.analyse.counts import counted
from labd.kpi.capture import CaptureResult
from labd.kpi.combined import combined
from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate
from labd.kpi.facts import Fact, HardwareFacts, ModelFacts, hardware_facts, model_facts
from labd.kpi.terms import Term, Terms, Uncertain
from labd.records import CaptureState, KpiRecord, Mode, OperatingPoint, Provenance, Role
from labd.store.rows import CaptureRow

POINT = OperatingPoint(Mode.ALWAYS_ON, 10.0, 3.0, "net")
TIMEBASE = 1e-3  # limit of error, as a fraction
GAIN = 5e-3


def measured(value: float) -> Fact:
    return Fact(value, Provenance.MEASURED)


def capture(**values: Uncertain) -> CaptureResult:
    """What a capture found; names with `__` for the dots."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    estimates = {kpi: Estimate(kpi, POINT.key, value, 50) for kpi, value in named.items()}
    return CaptureResult("c", POINT, Role.MEAN, "smu", (1.0,), (), estimates, (), {}, (), ())


def shared(terms: Terms, energy_j: float, latency_s: float) -> CaptureResult:
    """Energy and latency of one capture: both grow with the timebase, the energy with the gain too."""
    time, gain = terms.limit("smu:timebase", TIMEBASE), terms.limit("smu:current.gain", GAIN)
    return capture(
        energy_per_inference__gross=energy_j * (1 + time + gain),
        energy_per_inference__net_of_idle=0.8 * energy_j * (1 + time + gain),
        latency__pin__mean=latency_s * (1 + time),
        inference_rate=10.0 * (1 - time),
    )


def records(capture: CaptureResult, model: ModelFacts, terms: Terms, hardware: HardwareFacts | None = None) -> dict[str, KpiRecord]:
    return {r.id: r for r in combined([capture], {"net": model}, hardware, terms=terms, draws=Draws(1, "t"))}


def test_every_combined_figure_by_hand() -> None:
    """1 mJ and 20 ms an inference of 5e5 MACs (1e6 operations) on 2 mm2 of a chip of 1 GOPS."""
    terms = Terms()
    chip = hardware_facts("chip", {"die_area_m2": 2e-6, "peak_ops_hz": 1e9}, source="data sheet")
    model = ModelFacts("net", macs=measured(5e5), synops=measured(4e4), spikes=measured(2e3))
    found = records(shared(terms, 1e-3, 20e-3), model, terms, chip)
    assert {name: record.value for name, record in found.items() if not name.startswith("model.")} == pytest.approx(
        {
            "inferences_per_joule.gross": 1000.0,
            "edp.gross": 2e-5,
            "energy_per_op.gross": 1e-9,
            "energy_efficiency.gross": 1e9,  # 1e9 operations a joule: 0.001 TOPS/W
            "energy_per_synop.net_of_idle": 2e-8,
            "energy_per_spike.net_of_idle": 4e-7,
            "spike_rate": 1e5,
            "throughput.at_rate": 1e7,
            "throughput.one_in_flight": 5e7,
            "area_efficiency.one_in_flight": 2.5e13,
            "utilisation": 0.05,
        }
    )
    assert {record.provenance for name, record in found.items() if not name.startswith("model.")} == {Provenance.COMPUTED}
    assert found["model.macs"].provenance is Provenance.MEASURED


def test_the_timebase_counts_twice_in_energy_times_delay_and_once_in_the_energy() -> None:
    terms = Terms()
    found = records(shared(terms, 1e-3, 20e-3), ModelFacts("net", macs=measured(5e5)), terms)
    assert found["edp.gross"].u == pytest.approx(2e-5 * math.hypot(2 * TIMEBASE, GAIN) / math.sqrt(3))
    assert found["energy_per_op.gross"].u == pytest.approx(1e-9 * math.hypot(TIMEBASE, GAIN) / math.sqrt(3))
    assert found["throughput.one_in_flight"].u == pytest.approx(5e7 * TIMEBASE / math.sqrt(3))


@given(st.floats(1e-9, 1.0), st.integers(1, 10**9))
def test_energy_per_operation_and_operations_per_joule_are_each_other_s_inverse(energy_j: float, macs: int) -> None:
    terms = Terms()
    found = records(shared(terms, energy_j, 1e-3), ModelFacts("net", macs=measured(macs)), terms)
    each, many = found["energy_per_op.gross"], found["energy_efficiency.gross"]
    assert each.value is not None
    assert many.value is not None
    assert each.value * many.value == pytest.approx(1)
    assert each.u is not None
    assert many.u is not None
    assert each.u / each.value == pytest.approx(many.u / many.value)


def test_an_unknown_term_of_the_energy_leaves_no_interval() -> None:
    terms = Terms()
    unknown = capture(energy_per_inference__gross=1e-3 * (1 + terms.unit(Term("gain (unknown)", "B", "unknown"))))
    found = records(unknown, ModelFacts("net", macs=measured(5e5)), terms)
    assert (found["energy_per_op.gross"].u, found["energy_per_op.gross"].low) == (None, None)
    assert "instrument term unknown" in found["energy_per_op.gross"].flags


def test_a_figure_that_no_count_or_card_supports_is_not_there() -> None:
    terms = Terms()
    assert set(records(shared(terms, 1e-3, 20e-3), ModelFacts("net"), terms)) == {"inferences_per_joule.gross", "edp.gross"}


def test_an_error_of_a_declared_area_is_carried_along() -> None:
    terms = Terms()
    chip = HardwareFacts("chip", die_area_m2=Fact(2e-6, Provenance.DECLARED, "die photograph", half_width=2e-7))
    found = records(shared(terms, 1e-3, 20e-3), ModelFacts("net", macs=measured(5e5)), terms, chip)
    area = found["area_efficiency.one_in_flight"]
    assert area.u == pytest.approx(2.5e13 * math.hypot(TIMEBASE, 0.1) / math.sqrt(3))
    assert "die photograph" in area.note


def row(order: int, model: str, **counters: int) -> CaptureRow:
    point = OperatingPoint(Mode.ALWAYS_ON, 1.0, 3.0, model)
    acquisition = {"counters": {"boot": 1, **counters}} if counters else {}
    state = CaptureState.FINISHED
    return CaptureRow("r", f"c{order}", Role.MEAN, point, order, 0, {}, state, None, None, acquisition, "", 0, 0, (), "", 0)


def test_work_is_what_the_counters_grew_by_between_captures_of_one_model() -> None:
    rows = [
        row(0, "ann", infer=10, mac=1000),
        row(1, "ann", infer=30, mac=3000),
        row(2, "snn", infer=40, mac=3400, synop=90),  # warm-up of which net? not counted
        row(3, "snn", infer=60, mac=3400, synop=590, spike=40),
    ]
    found = counted(rows)
    assert found["ann"].macs == Fact(100.0, Provenance.MEASURED, "the device's own counters")
    assert (found["ann"].inferences, found["snn"].inferences) == (20, 20)
    assert found["snn"].macs is None
    assert (found["snn"].synops, found["snn"].spikes) == (
        Fact(25.0, Provenance.MEASURED, "the device's own counters"),
        Fact(2.0, Provenance.MEASURED, "the device's own counters"),
    )


def test_a_board_that_restarts_counts_from_zero_again() -> None:
    rows = [row(0, "ann", infer=10, mac=1000), row(1, "ann", infer=4, mac=400)]
    facts = counted(rows)["ann"]
    assert facts.macs is not None
    assert (facts.macs.value, facts.inferences) == (100.0, 14)


def test_a_board_without_counters_has_no_counts() -> None:
    assert counted([row(0, "ann"), row(1, "ann")]) == {}


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_figure_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="0 or more, is meant"):
        model_facts("net", {"macs": value}, source="card")


def test_a_name_that_is_no_figure_is_told_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="die_size is no figure of data sheet; there are peak_ops_hz, die_area_m2"):
        hardware_facts("chip", {"die_size": 1.0}, source="data sheet")
