"""Every row of the paper's table 1.1 for one run: its figures, what a card says in its place, or the reason why there is neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labd.kpi.table import Domain, KpiRow, rows
from labd.records import KpiRecord
from labd.report.catalogue import place
from labd.report.data import RunReport
from labd.report.numbers import quantity, reason, show, value_of
from labd.report.tables import Table, everything

SHOWN = 3  # figures of a row that a table prints; the list of all figures has every one
CARDS: Mapping[str, tuple[str, tuple[str, ...]]] = {  # of a row: the card and its keys that say the same in words
    "task.objective": ("task", ("objective", "metric")),
    "model.complexity": ("model", ("macs",)),
    "model.parameters": ("model", ("parameters",)),
    "model.precision": ("model", ("weight_bits", "activation_bits")),
    "model.structure": ("model", ("structure",)),
    "model.sparsity": ("model", ("weight_sparsity", "activation_sparsity")),
    "model.max_activation": ("model", ("largest_activation",)),
    "model.spikes": ("model", ("spikes",)),
    "model.synops": ("model", ("synops",)),
    "hardware.peak_throughput": ("hardware", ("processing_elements",)),
    "hardware.die_area": ("hardware", ("die_area",)),
    "area_efficiency": ("hardware", ("die_area",)),
    "hardware.memory_size": ("hardware", ("memory",)),
    "hardware.memory_bandwidth": ("hardware", ("memory_bandwidth",)),
    "hardware.precision": ("hardware", ("precisions",)),
    "hardware.network_size": ("hardware", ("largest_network", "layers", "kernel_sizes")),
    "hardware.max_frequency": ("hardware", ("largest_clock",)),
}
NEVER = {"area_efficiency"}  # a card says why there is none, not what it is
NO_SPIKES = ("model.spikes", "model.spike_rate", "model.synops", "energy_per_synop", "energy_per_spike")
TASK = "no accuracy run of this board and model: labd accuracy BENCH DATASET"


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """records: of the row, those with a value first. told: what a card says. why: there is nothing; one of the three is not empty."""

    row: KpiRow
    records: tuple[KpiRecord, ...]
    told: str = ""
    why: str = ""

    @property
    def valued(self) -> tuple[KpiRecord, ...]:
        return tuple(record for record in self.records if value_of(record) is not None)


def answers(report: RunReport) -> tuple[RowAnswer, ...]:
    """One for each row of the paper's table, in its order."""
    every = everything(report)
    return tuple(_answer(report, row, every) for row in rows() if row.printed)


def _answer(report: RunReport, row: KpiRow, every: list[KpiRecord]) -> RowAnswer:
    mine = sorted((r for r in every if row.carries(r.id)), key=lambda r: value_of(r) is None)
    told = _card(report, row)
    if any(value_of(record) is not None for record in mine):
        return RowAnswer(row, tuple(mine), told if row.id not in NEVER else "")
    if row.id == "task.roc" and any(one.roc for one in report.task):
        points = sum(len(curve) for one in report.task for curve in one.roc.values())
        return RowAnswer(row, (), f"{points} points, in result.json under `task`")
    if mine:
        return RowAnswer(row, tuple(mine), "" if row.id in NEVER else told, reason(mine[0]))
    if told and row.id not in NEVER:
        return RowAnswer(row, (), told)
    return RowAnswer(row, (), "", _why(report, row, told))


def _why(report: RunReport, row: KpiRow, told: str) -> str:
    if row.domain is Domain.TASK:
        return TASK
    families = {str(card.get("family")) for card in _table(report.cards, "model").values() if isinstance(card, Mapping)}
    if row.id in NO_SPIKES and families == {"dnn"}:
        return "the net has no spikes: its model card says dnn"
    if row.id in CARDS and row.carried:
        card, keys = CARDS[row.id]
        return f"the {card} card does not tell it: {', '.join(keys)}"
    needs = f"needs {row.needs or row.carried or row.obtained}"
    return f"{needs}; the card says: {told}" if told else needs


def _card(report: RunReport, row: KpiRow) -> str:
    """In words, of every net where a run has several; empty where no card says it."""
    if row.id not in CARDS:
        return ""
    kind, keys = CARDS[row.id]
    cards = _table(report.cards, kind)
    if kind != "model":
        return _said(cards, keys)
    found = {str(name): _said(card, keys) for name, card in cards.items() if isinstance(card, Mapping)}
    told = [f"{name}: {text}" if len(found) > 1 else text for name, text in found.items() if text]
    return "; ".join(told)


def _said(card: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    unknown = card.get("unknown", ())
    parts = {key: words(card.get(key)) or ("unknown, as the card says" if key in unknown else "") for key in keys}
    named = [f"{key.replace('_', ' ')} {text}" if len(keys) > 1 else text for key, text in parts.items() if text]
    return "; ".join(named)


def words(value: object) -> str:
    """A value as a card stores it."""
    match value:
        case None | "" | [] | ():
            return ""
        case {"value": float() | int() as number, "unit": str() as unit}:
            return f"{100 * number:.6g} %" if unit == "1" else quantity(float(number), unit)
        case list() | tuple():
            return ", ".join(words(one) for one in value)
    return str(value)


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, Mapping) else {}


def table(report: RunReport) -> Table:
    """One line a row of the paper's table."""
    lines = tuple((str(one.row.domain), one.row.name, in_words(report, one), _provenance(one), one.why) for one in answers(report))
    head = ("Domain", "KPI", "In this run", "Provenance", "Why not")
    return Table("Every KPI of the paper's table 1.1", head, lines)


def in_words(report: RunReport, one: RowAnswer) -> str:
    """The first few figures, by KPI and place, then what a card says."""
    seen: dict[str, KpiRecord] = {}
    for record in one.valued:
        seen.setdefault(record.id, record)
    shown = [f"{record.id}: {show(record)} ({place(report, record.at)})" for record in list(seen.values())[:SHOWN]]
    more = len(one.valued) - len(shown)
    rest = [f"{more} more"] if shown and more else []
    return "; ".join([*shown, *rest, *([f"card: {one.told}"] if one.told else [])])


def _provenance(one: RowAnswer) -> str:
    found = dict.fromkeys(str(record.provenance) for record in one.valued)
    return ", ".join(found) or ("declared" if one.told else "")
