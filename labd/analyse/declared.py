"""What the cards of a run declare of its chip and its nets, as facts for the combined KPIs and as figures of their own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from labd.analyse.wording import section
from labd.kpi.facts import Fact, HardwareFacts, ModelFacts
from labd.records import KpiRecord, Provenance

HARDWARE = {  # of the fields of HardwareFacts: the id and the unit of the figure
    "peak_ops_hz": ("hardware.peak_throughput", "1/s"),
    "die_area_m2": ("hardware.die_area", "m2"),
    "memory_bytes": ("hardware.memory_size", "By"),
    "bandwidth_bit_s": ("hardware.memory_bandwidth", "bit/s"),
    "max_frequency_hz": ("hardware.max_frequency", "Hz"),
    "bits": ("hardware.precision", "bit"),
    "network_size": ("hardware.network_size", "1"),
}
MODEL = {  # of the keys of a model card: the id and the unit of the figure; those that combined KPIs take stand in COUNTS
    "weight_sparsity": ("model.weight_sparsity", "1"),
    "activation_sparsity": ("model.activation_sparsity", "1"),
    "largest_activation": ("model.max_activation", "By"),
    "footprint": ("model.footprint", "By"),
    "neurons": ("model.neurons", "1"),
}
COUNTS = ("macs", "synops", "spikes", "parameters")
CARD = "model card"
_AREA = {"m2": 1.0, "cm2": 1e-4, "mm2": 1e-6, "um2": 1e-12}
_SIZE = {"B": 1, "By": 1, "kB": 1e3, "kBy": 1e3, "KiB": 1024, "MB": 1e6, "MBy": 1e6, "MiB": 1048576, "GB": 1e9}
_RATE = {"bit/s": 1.0, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9, "By/s": 8.0}
_HERTZ = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}
_UNITS: Mapping[str, Mapping[str, float]] = {
    "peak_ops_hz": {"/s": 1.0, "1/s": 1.0, "s-1": 1.0},
    "die_area_m2": _AREA,
    "memory_bytes": _SIZE,
    "bandwidth_bit_s": _RATE,
    "max_frequency_hz": _HERTZ,
    "bits": {"bit": 1.0, "1": 1.0},
    "network_size": {"1": 1.0},
}
_FIRST = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z][A-Za-z0-9/]*)\b")
_SQUARE = re.compile(r"\s*([0-9.]+)\s*mm\s*x\s*([0-9.]+)\s*mm\b")


def hardware(cards: Mapping[str, Any]) -> HardwareFacts | None:
    """Of the board's card: a figure given with its source before one that a key begins with, such as `16 mm2 die`; None without a card.

    A range is no figure: no efficiency is made of one.
    """
    card = section(cards, "hardware")
    if not card:
        return None
    found: dict[str, Any] = {}
    for name, (kpi, _) in HARDWARE.items():
        fact = _given(card, kpi, _UNITS[name]) or _typed(card, name)
        if fact is not None:
            found[name] = fact
    return replace(HardwareFacts(str(card.get("name", "hardware"))), **found)


def _given(card: Mapping[str, Any], kpi: str, units: Mapping[str, float]) -> Fact | None:
    for one in card.get("given", ()):
        factor = units.get(str(one.get("unit", "")))
        if one.get("id") == kpi and one.get("value") is not None and factor is not None and float(one["value"]) > 0:
            half = float(one["u"]) * math.sqrt(3) * factor if one.get("u") else 0.0
            provenance = Provenance.ESTIMATED if one.get("provenance") == "estimated" else Provenance.DECLARED
            return Fact(float(one["value"]) * factor, provenance, str(one.get("source", "")), half)
    return None


def _typed(card: Mapping[str, Any], name: str) -> Fact | None:
    source = str(card.get("source") or "hardware card")
    if name == "max_frequency_hz":
        clock = card.get("largest_clock")
        return Fact(float(clock["value"]), Provenance.DECLARED, source) if isinstance(clock, Mapping) else None
    key = {"die_area_m2": "die_area", "memory_bytes": "memory", "bandwidth_bit_s": "memory_bandwidth"}.get(name)
    value = _begins(str(card.get(key) or ""), _UNITS[name]) if key else None
    return None if value is None else Fact(value, Provenance.DECLARED, source)


def _begins(text: str, units: Mapping[str, float]) -> float | None:
    """The quantity that a text begins with; None where it begins with none of these units, such as gates."""
    if units is _AREA and (square := _SQUARE.match(text)):
        return float(square[1]) * float(square[2]) * 1e-6
    first = _FIRST.match(text)
    if first is None or first[2] not in units:
        return None
    value = float(first[1]) * units[first[2]]
    return value if value > 0 else None


def models(cards: Mapping[str, Any]) -> dict[str, ModelFacts]:
    """Counts of the nets of a run, by the names that its plan gives them: of the file that the card names, else as the card declares."""
    found = {}
    for name, card in section(cards, "model").items():
        facts: dict[str, Any] = {key: fact for key in COUNTS if (fact := _count(card, key)) is not None}
        found[str(name)] = replace(ModelFacts(str(name)), **facts)
    return found


def _count(card: Mapping[str, Any], key: str) -> Fact | None:
    value = card.get(key)
    if value is None or isinstance(value, str) or float(value) < 0:
        return None
    provenance, source = _origin(card, key)
    return Fact(float(value), provenance, source)


def _origin(card: Mapping[str, Any], key: str) -> tuple[Provenance, str]:
    file = section(card, "of_file")
    if key in file.get("keys", ()):
        return Provenance.COMPUTED, str(file.get("file", ""))
    return Provenance.DECLARED, str(card.get("source") or CARD)


def joined(counted: Mapping[str, ModelFacts], declared: Mapping[str, ModelFacts]) -> dict[str, ModelFacts]:
    """What the device counted, and of what it did not count what the cards say. A card that says otherwise is named in the source."""
    found = dict(declared)
    for name, facts in counted.items():
        other = declared.get(name)
        if other is None:
            found[name] = facts
            continue
        names = [f.name for f in fields(ModelFacts) if f.name not in ("name", "inferences")]
        kept: dict[str, Any] = {key: _held_against(getattr(facts, key) or getattr(other, key), getattr(other, key)) for key in names}
        found[name] = replace(facts, **kept)
    return found


def _held_against(fact: Fact | None, card: Fact | None) -> Fact | None:
    if fact is None or card is None or fact is card or math.isclose(fact.value, card.value, rel_tol=1e-3):
        return fact
    return replace(fact, source=f"{fact.source}; {card.source} says {card.value:.10g}")


def records(cards: Mapping[str, Any]) -> Iterator[KpiRecord]:
    """What no combined KPI takes, or what stands for itself: figures of the chip at its name, and of the nets at theirs."""
    facts = hardware(cards)
    if facts is not None:
        for name, (kpi, unit) in HARDWARE.items():
            fact: Fact | None = getattr(facts, name)
            if fact is not None:
                yield _record(kpi, facts.name, fact, unit)
    for name, card in section(cards, "model").items():
        for key, (kpi, unit) in MODEL.items():
            value = card.get(key)
            value = value.get("value") if isinstance(value, Mapping) else value
            if value is not None:
                yield _record(kpi, str(name), Fact(float(value), *_origin(card, key)), unit)
        for one in section(card, "of_file").get("figures", ()):
            if one["value"] is not None and one["id"] not in {kpi for kpi, _ in MODEL.values()} | {f"model.{key}" for key in COUNTS}:
                source = str(section(card, "of_file").get("file", ""))
                yield _record(one["id"], str(name), Fact(float(one["value"]), Provenance.COMPUTED, source), one["unit"])


def _record(kpi: str, at: str, fact: Fact, unit: str) -> KpiRecord:
    """A count of a file is exact; what is declared has the interval that its source gives, or none."""
    if fact.provenance is Provenance.COMPUTED:
        return KpiRecord(kpi, at, fact.value, unit, 0.0, fact.value, fact.value, 1, fact.provenance, fact.source)
    if not fact.half_width:
        return KpiRecord(kpi, at, fact.value, unit, None, None, None, 0, fact.provenance, fact.source)
    u = fact.half_width / math.sqrt(3)
    return KpiRecord(kpi, at, fact.value, unit, u, fact.value - 1.96 * u, fact.value + 1.96 * u, 0, fact.provenance, fact.source)
