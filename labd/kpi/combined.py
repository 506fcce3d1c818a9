"""Figures that join what was measured with what is known of the model and the chip (metrology of the paper's table 1.1, "combined").

An operation is half a multiply-accumulate. Energies per operation and efficiencies rest on the gross energy of an inference, those per
synaptic operation and spike on the energy above idle or sleep. Everything is a quotient or product of values of `uncertainties`: errors
that two of them share, such as the timebase and the instrument's gain, are one variable by name and add with their signs. The energy and
the latency of one capture both grow with the length of a second, so in their product the timebase counts twice, in power it cancels. The
Type A errors of both are taken as independent. Quotients are linear in their errors, which holds while these are small.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from labd.kpi.capture import CaptureResult
from labd.kpi.closure import pooled
from labd.kpi.draws import Draws
from labd.kpi.estimate import METHOD_S1, Estimate, published
from labd.kpi.facts import OPS_PER_MAC, Fact, HardwareFacts, ModelFacts
from labd.kpi.terms import Terms, Uncertain
from labd.records import KpiRecord, OperatingPoint, Provenance

METHOD = f"{METHOD_S1}, quotient linear in its errors"
NETS = ("net_of_sleep", "net_of_idle")
LATENCIES = ("latency.pin.mean", "latency.dut_counter.mean")
COUNTS = {
    "model.macs": "macs",
    "model.synops": "synops",
    "model.spikes": "spikes",
    "model.neuron_updates": "neuron_updates",
    "model.parameters": "parameters",
}

Pooled = tuple[Uncertain, int, tuple[str, ...]]


def combined(
    captures: Sequence[CaptureResult],
    models: Mapping[str, ModelFacts],
    hardware: HardwareFacts | None = None,
    *,
    terms: Terms,
    draws: Draws,
) -> tuple[KpiRecord, ...]:
    """Of each operating point whose energy or latency is known; models: by the name that operating points give."""
    records: list[KpiRecord] = []
    for name, model in models.items():
        records += counts(name, model)
    for point in {c.point.key: c.point for c in captures}.values():
        here = [c for c in captures if c.point == point]
        flags = tuple(dict.fromkeys(flag for c in here for flag in c.flags))
        for estimate, keys in at_point(point, here, models.get(point.model), hardware, terms=terms):
            told = replace(estimate, flags=flags)
            records.append(published(told, draws=draws, captures=keys, provenance=Provenance.COMPUTED))
    return tuple(records)


def counts(name: str, model: ModelFacts) -> Iterable[KpiRecord]:
    """Work an inference as records of the model; a mean over the counted inferences is exact for these."""
    for kpi, attribute in COUNTS.items():
        fact: Fact | None = getattr(model, attribute)
        if fact is not None and fact.value > 0:
            exact = fact.provenance in (Provenance.MEASURED, Provenance.COMPUTED)
            end = fact.value if exact else None
            yield KpiRecord(
                kpi, name, fact.value, "1", 0.0 if exact else None, end, end, model.inferences, fact.provenance, fact.source or "count"
            )


def at_point(
    point: OperatingPoint, here: Sequence[CaptureResult], model: ModelFacts | None, hardware: HardwareFacts | None, *, terms: Terms
) -> list[tuple[Estimate, tuple[str, ...]]]:
    """Each estimate with the captures it rests on."""
    found: list[tuple[Estimate, tuple[str, ...]]] = []
    gross = pooled(here, "energy_per_inference.gross", terms=terms)
    latency = next((p for p in (pooled(here, kpi, terms=terms) for kpi in LATENCIES) if p), None)
    rate = pooled(here, "inference_rate", terms=terms)
    net = next(((kind, p) for kind in NETS if (p := pooled(here, f"energy_per_inference.{kind}", terms=terms))), None)

    def add(kpi: str, value: Uncertain, *rests: Pooled, note: str = "") -> None:
        keys = tuple(dict.fromkeys(key for one in rests for key in one[2]))
        found.append((Estimate(kpi, point.key, value, min(one[1] for one in rests), method=METHOD, note=note), keys))

    if gross is not None and gross[0].nominal_value > 0:
        add("inferences_per_joule.gross", 1 / gross[0], gross)
        if latency is not None:
            add("edp.gross", gross[0] * latency[0], gross, latency)
    if model is None:
        return found
    if net is not None and net[1][0].nominal_value > 0:
        for kpi, fact in (("energy_per_synop", model.synops), ("energy_per_spike", model.spikes)):
            if fact is not None and fact.value > 0:
                add(f"{kpi}.{net[0]}", net[1][0] / value_of(fact, f"{model.name}:{kpi}", terms), net[1], note=told(fact))
    if model.spikes is not None and model.spikes.value > 0 and latency is not None and latency[0].nominal_value > 0:
        add("spike_rate", value_of(model.spikes, f"{model.name}:energy_per_spike", terms) / latency[0], latency, note=told(model.spikes))
    if model.macs is None or model.macs.value <= 0:
        return found
    ops = OPS_PER_MAC * value_of(model.macs, f"{model.name}:macs", terms)
    note = told(model.macs)
    if gross is not None and gross[0].nominal_value > 0:
        add("energy_per_op.gross", gross[0] / ops, gross, note=note)
        add("energy_efficiency.gross", ops / gross[0], gross, note=note)
    if rate is not None:
        add("throughput.at_rate", ops * rate[0], rate, note=note)
    if latency is not None and latency[0].nominal_value > 0:
        speed = ops / latency[0]
        add("throughput.one_in_flight", speed, latency, note=note)
        area = hardware.die_area_m2 if hardware else None
        if area is not None and area.value > 0:
            add("area_efficiency.one_in_flight", speed / value_of(area, "hardware:die_area", terms), latency, note=f"{note}; {told(area)}")
        peak = hardware.peak_ops_hz if hardware else None
        if peak is not None and peak.value > 0:
            add("utilisation", speed / value_of(peak, "hardware:peak", terms), latency, note=f"{note}; {told(peak)}")
    return found


def value_of(fact: Fact, name: str, terms: Terms) -> Uncertain:
    """A fact as a value with its limit of error."""
    return fact.value + terms.limit(name, fact.half_width)


def told(fact: Fact) -> str:
    return f"count {fact.provenance}" + (f": {fact.source}" if fact.source else "")
