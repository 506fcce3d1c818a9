"""Tables of what several operating points tell together: over clocks and supplies, at random arrivals, from a battery or a harvester."""

from __future__ import annotations

from dataclasses import dataclass

from labd.records import KpiRecord
from labd.report.catalogue import place
from labd.report.data import RunReport
from labd.report.numbers import show, words
from labd.report.tables import Table, everything


@dataclass(frozen=True, slots=True)
class Topic:
    """A section of the report: its tables (caption, then heading and KPI id of each column), and what a reader needs to know."""

    ident: str
    title: str
    tables: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    note: str


TOPICS = (
    Topic(
        "leakage",
        "Leakage, clock and supply",
        (
            (
                "What depends on the clock, and what does not",
                (
                    ("Static at rest", "clock_sweep.static_power.rest"),
                    ("A cycle at rest", "clock_sweep.energy_per_cycle.rest"),
                    ("Static while inferring", "clock_sweep.static_power.active"),
                    ("A cycle while inferring", "clock_sweep.energy_per_cycle.active"),
                    ("Dynamic energy of an inference", "clock_sweep.dynamic_energy"),
                ),
            ),
            (
                "What goes with the supply voltage V",
                (
                    ("Capacitance an inference switches", "supply_sweep.capacitance"),
                    ("Its energy, power of V", "supply_sweep.exponent.energy"),
                    ("Floor power, power of V", "supply_sweep.exponent.floor"),
                    ("Static at rest, power of V", "supply_sweep.exponent.static_rest"),
                    ("Static while inferring, power of V", "supply_sweep.exponent.static_active"),
                ),
            ),
            (
                "Share of the mean power that does not depend on the clock",
                (("Static at rest", "static_share.rest"), ("Static in all", "static_share.all")),
            ),
        ),
        "Static: what leaks, and what is always on. What switches goes with the clock and the square of the supply. Where the clock was "
        "set, the row over the supply that names none is of the part that depends on it; the others are of the incremental energy.",
    ),
    Topic(
        "arrivals",
        "Random arrivals",
        (
            (
                "How long to stay awake for the next event, and mean power of Poisson arrivals",
                (
                    ("Best time-out", "best_time_out"),
                    ("Mean power, time-out as measured", "poisson_power.as_measured"),
                    ("Mean power, best time-out", "poisson_power.best_time_out"),
                ),
            ),
        ),
        "The best time-out is for arrivals of which nothing is known: it costs at most twice what knowing them would. Where the rate of "
        "Poisson arrivals is known, never or always sleeping is better: always below one over the best time-out, never above it. Queueing "
        "is neglected.",
    ),
    Topic(
        "field",
        "Battery and harvester",
        (
            (
                "How long a battery lasts, and what a harvester sustains",
                (
                    ("Battery life", "battery_life"),
                    ("Battery life, by charge", "battery_life.charge"),
                    ("Battery falls to", "battery_pulse_voltage"),
                    ("Sustained rate", "harvester.neutral_rate"),
                    ("Least buffer", "harvester.buffer"),
                ),
            ),
        ),
        "By charge: for a board that draws one current at any voltage, as behind a linear regulator; by energy: behind a switching one. "
        "Declared limits of the battery and the harvester are in the intervals.",
    ),
)


def tables_of(report: RunReport, topic: Topic) -> list[Table]:
    """Those that hold a figure, or say why they hold none."""
    by_place: dict[str, dict[str, KpiRecord]] = {}
    for record in everything(report):
        by_place.setdefault(record.at, {})[record.id] = record
    found = []
    for caption, columns in topic.tables:
        used = [(heading, kpi) for heading, kpi in columns if any(kpi in records for records in by_place.values())]
        rows = [_row(report, at, records, used) for at, records in sorted(by_place.items()) if any(kpi in records for _, kpi in used)]
        if rows:
            head = ("", *(heading for heading, _ in used), "Flags")
            found.append(Table(caption, head, tuple(rows), frozenset(range(1, 1 + len(used)))))
    return found


def _row(report: RunReport, at: str, records: dict[str, KpiRecord], columns: list[tuple[str, str]]) -> tuple[str, ...]:
    shown = [records.get(kpi) for _, kpi in columns]
    flags = dict.fromkeys(words(flag) for record in shown if record is not None and record.value is not None for flag in record.flags)
    return place(report, at), *("" if record is None else show(record) for record in shown), ", ".join(flags)
