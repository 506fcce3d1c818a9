"""Fairness rules about how the figures were measured: mode, rate, window, conditions, uncertainty. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

from labd.cards.directions import ENERGY, OF_A_MODE, OF_THE_USE_CASE, better, is_any
from labd.cards.rules_pipeline import counted, plain
from labd.cards.side import Figure, Found, Severity, Side
from labd.kpi.table import row_of
from labd.records import KpiRecord, Provenance

LEAST_WINDOWS, LEAST_S = 5, 10.0
WIDEST = 0.10  # U95 over the value: a figure that is known this well needs no longer run to be compared
MOST_KELVIN = 5.0  # leakage doubles within some 10 K: half of that moves a sleep floor by 40 %
NEAR_V = 0.02  # of a supply, as instruments set it
MADS = 5.0
PLATFORMS = 5  # below it a rank correlation of 0.9 happens by chance
CORRELATED = 0.9
KINDS = ("energy_per_inference", "latency", "wake_up", "energy_per_synop", "energy_per_spike", "throughput")
Says = Iterator[Found]
_HERE = frozenset({Provenance.MEASURED, Provenance.COMPUTED})


def same_definition(sides: Sequence[Side]) -> Says:
    """Of a KPI that comes in kinds, the same kind; of a kind, the same window and method."""
    for a, b in combinations(sides, 2):
        for kpi in KINDS:
            first, second = ({one.record.id for one in side.of(kpi)} for side in (a, b))
            if first and second and not first & second:
                text = f"{kpi}: {a.name} has {', '.join(sorted(first))}; {b.name} has {', '.join(sorted(second))}"
                yield Found(Severity.REFUSE, (a.name, b.name), text, (kpi,))
        ways: dict[tuple[str, str], list[Figure]] = {}
        for figure in a.figures:
            other = b.find(*figure.key)
            if (
                other is None
                or None in (figure.record.value, other.value)
                or better(figure.record.id) is None
                or not _HERE.issuperset({figure.record.provenance, other.provenance})
            ):
                continue
            pair = (_way(a, figure.record), _way(b, other))
            if pair[0] != pair[1]:
                ways.setdefault(pair, []).append(figure)
        for (first_way, second_way), figures in ways.items():
            ids = tuple(dict.fromkeys(figure.record.id for figure in figures))
            places = tuple(dict.fromkeys(figure.place for figure in figures))
            text = f"{', '.join(ids)}: {a.name} by {first_way}; {b.name} by {second_way}"
            yield Found(Severity.REFUSE, (a.name, b.name), text, ids, places)
        if a.labd != b.labd:
            text = f"labd {a.labd or 'unknown'} and {b.labd or 'unknown'} computed them; `labd analyse RUN --store-result` does it anew"
            yield Found(Severity.TELL, (a.name, b.name), text)


def same_mode_and_rate(sides: Sequence[Side]) -> Says:
    """A mode, a rate and what decides that something happened are part of the figure."""
    for a, b in combinations(sides, 2):
        common = [mode for mode in a.modes if mode in b.modes]
        if not common and a.modes and b.modes:
            text = f"{a.name} was measured in {', '.join(a.modes)}; {b.name} in {', '.join(b.modes)}"
            yield Found(Severity.REFUSE, (a.name, b.name), text, OF_A_MODE)
        for mode in common:
            rates = [{one.place.rate_hz for one in side.of("power.mean") if one.place.modes == (mode,)} for side in (a, b)]
            if all(rates) and not rates[0] & rates[1]:
                first, second = (", ".join(f"{rate:g}" for rate in sorted(r for r in one if r is not None)) for one in rates)
                text = f"no rate in common in {mode}: {a.name} {first} /s; {b.name} {second} /s; the lines over the rate are compared"
                yield Found(Severity.REFUSE, (a.name, b.name), text, OF_THE_USE_CASE[:4])
        if a.conditions.idle_kind != b.conditions.idle_kind and "always_on" in common:
            text = f"how always_on waits: {a.name} {a.conditions.idle_kind}; {b.name} {b.conditions.idle_kind}"
            yield Found(Severity.FLAG, (a.name, b.name), text, ENERGY)
        if a.detector != b.detector and any(mode.is_event for mode in common):
            text = f"what decides that something happened: {a.name} {_detector(a)}; {b.name} {_detector(b)}"
            yield Found(Severity.REFUSE, (a.name, b.name), text, ("battery_life", "break_even_rate", "harvester.neutral_rate"))
    for side in sides:
        if not side.has_detector and side.of("break_even_rate"):
            text = "always-on against event-based without the power and the false wakes of a detector: the plan names none (`[detector]`)"
            yield Found(Severity.REFUSE, (side.name,), text, ("break_even_rate",))
        lone = [one.record.id for one in side.figures if not one.place.modes and is_any(one.record.id, OF_A_MODE)]
        if lone:
            text = f"{', '.join(dict.fromkeys(lone))}: given without the mode that it holds in"
            yield Found(Severity.REFUSE, (side.name,), text, tuple(dict.fromkeys(lone)))


def parameters_resident(sides: Sequence[Side]) -> Says:
    """What is loaded with the first inference is counted as its latency, and its energy."""
    for side in sides:
        if side.warm_up == 0:
            text = "no inference before the first that counts (captures.warm_up_inferences = 0): loading may be in the latency"
            yield Found(Severity.REFUSE, (side.name,), text, ("latency", "edp", "throughput"))
        slow = [one for one in side.first if one.first - one.median > MADS * max(one.deviation, one.u)]
        if slow:
            worst = max(slow, key=lambda one: one.first / one.median)
            text = f"the first inference takes {worst.first:.4g} s, the others {worst.median:.4g} s ({worst.place}): it loads something"
            places = tuple(dict.fromkeys(one.place for one in slow))
            yield Found(Severity.REFUSE, (side.name,), text, ("latency", "edp", "throughput", "energy_per_inference.gross"), places)


def measured_long_enough(sides: Sequence[Side]) -> Says:
    """Five windows and ten seconds, or an interval that is narrow anyway."""
    for side in sides:
        seconds = {one.key: one.seconds for one in side.taken}
        short = [one for one in side.figures if _is_short(one.record, seconds)]
        if short:
            ids = tuple(dict.fromkeys(one.record.id for one in short))
            worst = max(short, key=lambda one: _relative(one.record))
            text = (
                f"{counted(len(short), 'figure has', 'figures have')} fewer than {LEAST_WINDOWS} windows or {LEAST_S:g} s, "
                f"and an interval wider than ±{WIDEST:.0%}; "
                f"{worst.record.id} ({worst.place or side.model}) ±{_relative(worst.record):.0%}"
            )
            yield Found(Severity.REFUSE, (side.name,), text, ids, tuple(dict.fromkeys(one.place for one in short)))


def run_is_whole(sides: Sequence[Side]) -> Says:
    """Nothing is missing, and whoever doubts a figure can compute it again."""
    for side in sides:
        if side.ended != "finished":
            yield Found(Severity.FLAG, (side.name,), f"run {side.run} is {side.ended}")
        if side.lost:
            shown = ", ".join(side.lost[:3]) + (" ..." if len(side.lost) > 3 else "")
            yield Found(Severity.FLAG, (side.name,), f"{counted(len(side.lost), 'capture is', 'captures are')} lost, or the trace: {shown}")


def not_twice_the_same(sides: Sequence[Side]) -> Says:
    """Figures that order the platforms alike count once."""
    if len(sides) < PLATFORMS:
        return
    columns: dict[str, list[float]] = {}
    for kpi, place in dict.fromkeys(one.key for one in sides[0].figures if better(one.record.id)):
        found = [side.find(kpi, place) for side in sides]
        values = [record.value for record in found if record is not None and record.value is not None]
        if len(values) == len(sides) and len(set(values)) > 1:
            columns[f"{kpi} {place}".strip()] = values
    pairs = [(x, y) for x, y in combinations(columns, 2) if abs(rank_correlation(columns[x], columns[y])) > CORRELATED]
    if pairs:
        names = tuple(side.name for side in sides)
        shown = "; ".join(f"{x} and {y}" for x, y in pairs[:5]) + (f"; {len(pairs) - 5} more pairs" if len(pairs) > 5 else "")
        yield Found(Severity.TELL, names, f"they order these platforms alike, drop one of each: {shown}")


def use_case_constants(sides: Sequence[Side]) -> Says:
    """A battery or a rate is part of some figures."""
    for a, b in combinations(sides, 2):
        if a.battery is not None and b.battery is not None and a.battery != b.battery:
            text = f"battery: {a.name} {_battery(a)}; {b.name} {_battery(b)}"
            yield Found(Severity.REFUSE, (a.name, b.name), text, ("battery_life", "battery_pulse_voltage"))
        if a.harvester is not None and b.harvester is not None and a.harvester != b.harvester:
            text = f"harvester: {a.name} {_harvester(a)}; {b.name} {_harvester(b)}"
            yield Found(Severity.REFUSE, (a.name, b.name), text, ("harvester",))


def same_conditions(sides: Sequence[Side]) -> Says:
    """Supply, temperature, and instruments that are warm and calibrated."""
    for a, b in combinations(sides, 2):
        yield from _supply(a, b)
        yield from _temperature(a, b)
    for side in sides:
        if side.conditions.flags:
            yield Found(Severity.FLAG, (side.name,), f"limits of error are widened: {'; '.join(side.conditions.flags)}")


def values_have_uncertainty(sides: Sequence[Side]) -> Says:
    """A unit, an interval, a method."""
    for side in sides:
        bare = [one for one in side.figures if _is_bare(one.record)]
        if bare:
            ids = tuple(dict.fromkeys(one.record.id for one in bare))
            places = tuple(dict.fromkeys(one.place for one in bare))
            text = f"{counted(len(bare), 'measured figure has', 'measured figures have')} no interval: {', '.join(ids)}"
            yield Found(Severity.FLAG, (side.name,), text, ids, places, ranks=False)
    for a, b in combinations(sides, 2):
        for figure in a.figures:
            other = b.find(*figure.key)
            if other is not None and other.unit != figure.record.unit:
                text = f"{figure.record.id}: {a.name} in {figure.record.unit}; {b.name} in {other.unit}"
                yield Found(Severity.REFUSE, (a.name, b.name), text, (figure.record.id,), (figure.place,))


def not_fed_past_the_meter(sides: Sequence[Side]) -> Says:
    """A line that is driven feeds the board through its protection diodes."""
    for side in sides:
        if side.conditions.fed_back:
            text = f"driven during captures and not isolated: {', '.join(side.conditions.fed_back)}"
            yield Found(Severity.FLAG, (side.name,), text, ENERGY)


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rho of two columns of one length, mid-ranks on ties; 0 where one of them does not vary."""
    a, b = _ranks(x), _ranks(y)
    mean = (len(a) + 1) / 2
    cross = math.fsum((p - mean) * (q - mean) for p, q in zip(a, b, strict=True))
    size = math.fsum((p - mean) ** 2 for p in a) * math.fsum((q - mean) ** 2 for q in b)
    return cross / math.sqrt(size) if size > 0 else 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    return [sum(other < value for other in values) + (1 + sum(other == value for other in values)) / 2 for value in values]


def _supply(a: Side, b: Side) -> Says:
    first, second = a.conditions.supply_v, b.conditions.supply_v
    if _is_near(first, second):
        return
    text = f"supply: {a.name} {first:g} V; {b.name} {second:g} V"
    nominal = [_is_near(side.conditions.supply_v, side.conditions.nominal_v) for side in (a, b)]
    if a.board != b.board and all(nominal):
        yield Found(Severity.FLAG, (a.name, b.name), f"{text}; each what its own board is meant for")
    else:
        yield Found(Severity.REFUSE, (a.name, b.name), text)


def _is_near(volt: float, other: float | None) -> bool:
    return other is not None and abs(volt - other) <= NEAR_V * max(volt, other)


def _temperature(a: Side, b: Side) -> Says:
    first, second = a.conditions.ambient_c, b.conditions.ambient_c
    if first is None or second is None:
        untold = " and ".join(side.name for side in (a, b) if side.conditions.ambient_c is None)
        yield Found(Severity.FLAG, (a.name, b.name), f"the temperature is not told by {untold}", ENERGY)
        return
    apart = abs(first - second)
    text = f"temperature: {a.name} {first:g} °C ± {a.conditions.ambient_half_width_k:g} K; "
    text += f"{b.name} {second:g} °C ± {b.conditions.ambient_half_width_k:g} K"
    if apart > MOST_KELVIN:
        yield Found(Severity.REFUSE, (a.name, b.name), text, ENERGY)
    elif apart > a.conditions.ambient_half_width_k + b.conditions.ambient_half_width_k:
        yield Found(Severity.FLAG, (a.name, b.name), text, ENERGY)


def _way(side: Side, record: KpiRecord) -> str:
    """The method, and how the board showed its phases in the captures behind a figure."""
    marks = sorted({one.marks for one in side.taken if one.key in record.captures and one.marks})
    # what says which captures there were is no difference in definition: a mode may be fitted with event captures or without
    shown = marks if record.id.startswith(("energy_per_inference.gross", "energy_per_inference.net", "latency")) else []
    return record.method + (f", marks {' and '.join(shown)}" if shown else "")


def _is_short(record: KpiRecord, seconds: dict[str, float]) -> bool:
    row = row_of(record.id)
    if row is None or better(record.id) is None or record.provenance not in _HERE:
        return False
    if not record.captures or record.low is None or record.high is None or record.value is None:
        return False
    enough = record.n >= LEAST_WINDOWS and sum(seconds.get(key, 0.0) for key in record.captures) >= LEAST_S
    return not enough and _relative(record) > WIDEST


def _relative(record: KpiRecord) -> float:
    """Half the interval over the value."""
    assert record.low is not None  # asked of figures with an interval
    assert record.high is not None
    return (record.high - record.low) / 2 / abs(record.value) if record.value else math.inf


def _is_bare(record: KpiRecord) -> bool:
    known = record.low is not None and record.high is not None
    return record.value is not None and not known and better(record.id) is not None and record.provenance is Provenance.MEASURED


def _detector(side: Side) -> str:
    one = side.detector
    return one.kind if not side.has_detector else f"{one.kind}, {one.power_w:.3g} W, {one.false_wake_hz:.3g} false wakes a second"


def _harvester(side: Side) -> str:
    one = side.harvester
    return "" if one is None else f"{one.power_w * 1e6:g} uW, {one.efficiency:.0%} of it"


def _battery(side: Side) -> str:
    one = side.battery
    return "" if one is None else plain(f"{one.capacity_ah:g} Ah at {one.voltage_v:g} V, {one.usable:g} usable")
