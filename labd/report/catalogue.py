"""What the KPI ids mean in print: titles, order, and which ids fill the columns of the summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labd.records import CLOCK, KpiRecord, Mode, OperatingPoint, Phase
from labd.report.data import RunReport, curve_key
from labd.report.numbers import value_of, words

MODES: Mapping[Mode, str] = {
    Mode.ALWAYS_ON: "always-on",
    Mode.EVENT_SLEEP: "event-sleep",
    Mode.EVENT_RELOAD: "event-reload",
    Mode.EVENT_GATED: "event-gated",
}

MODE_MEANING: Mapping[Mode, str] = {
    Mode.ALWAYS_ON: "powered and awake between inferences, model resident",
    Mode.EVENT_SLEEP: "asleep between inferences, model retained",
    Mode.EVENT_RELOAD: "asleep between inferences, model dropped and loaded again at each event",
    Mode.EVENT_GATED: "supply switched off between inferences",
}

SHAPES: Mapping[Mode, str] = {
    Mode.ALWAYS_ON: "circle",
    Mode.EVENT_SLEEP: "square",
    Mode.EVENT_RELOAD: "triangle",
    Mode.EVENT_GATED: "diamond",
}

PHASES: tuple[Phase, ...] = (Phase.OFF, Phase.RAMP, Phase.SLEEP, Phase.WAKE, Phase.LOAD, Phase.INFER, Phase.TAIL, Phase.IDLE)
REST: frozenset[Phase] = frozenset({Phase.OFF, Phase.SLEEP, Phase.IDLE})

# In the order of print. A title stands for its id and for everything below it (`latency.pin` also for `latency.pin.p95`).
TITLES: Mapping[str, str] = {
    "power.mean": "Mean power",
    "power.floor": "Floor power, measured at rate 0",
    "power.idle": "Idle power",
    "power.sleep": "Sleep power",
    "power.peak": "Peak power",
    "power": "Power",
    "fit.floor_power": "Floor power, from the fit over the rates",
    "fit.incremental_energy": "Incremental energy per inference, from the fit over the rates",
    "fit.chi2_per_dof": "Chi-square per degree of freedom of the fit",
    "fit": "Fit",
    "break_even_rate": "Break-even rate",
    "energy_per_inference.at_rate": "Energy per inference at this rate (mean power / rate)",
    "energy_per_inference.gross": "Energy per inference, gross",
    "energy_per_inference.net_of_idle": "Energy per inference, net of idle",
    "energy_per_inference.net_of_sleep": "Energy per inference, net of sleep",
    "energy_per_inference.mlperf_median": "Energy per inference, median of windows as MLPerf Tiny has it",
    "energy_per_inference.per_event": "Energy per event, wake to sleep, tail included",
    "energy_per_inference": "Energy per inference",
    "phase_energy": "Energy of one phase",
    "charge_per_inference": "Charge per inference",
    "latency.pin": "Latency, by marker pin",
    "latency.dut_counter": "Latency, by the device's counter",
    "latency.gpio": "Latency, on a line that the host reads",
    "trigger_to_start.gpio": "Trigger to the start of the inference, on a line that the host reads (upper bound)",
    "latency.host": "Latency, seen from the host",
    "latency": "Latency",
    "wake_up.current_rise_to_ready": "Current rise to ready (lower bound of wake-up)",
    "wake_up": "Wake-up",
    "start_time.host": "Start, seen from the host (upper bound)",
    "start_time": "Start, from the supply reaching supply_min to ready",
    "start_energy": "Energy of a start, from the supply reaching supply_min to ready",
    "start_peak": "Largest current of a start",
    "timeline.edge_to_marker": "Check: edges of the current after those of the marker",
    "timeline.edge_to_signature": "Check: edges of the current after where the signature places them",
    "timeline": "Check of the timeline",
    "inference_rate.back_to_back": "Throughput, inferences back to back",
    "inference_rate": "Inference rate",
    "largest_rate": "Largest rate that can be served",
    "duty_cycle": "Duty cycle achieved",
    "inferences_per_joule": "Inferences per joule",
    "energy_per_op": "Energy per operation (two a MAC)",
    "energy_per_synop": "Energy per synaptic operation",
    "energy_per_spike": "Energy per spike",
    "energy_efficiency": "Operations per joule (1e12/J = 1 TOPS/W)",
    "throughput.at_rate": "Operations per second at this rate",
    "throughput.one_in_flight": "Operations per second within an inference",
    "throughput": "Throughput",
    "area_efficiency": "Operations per second and die area",
    "spike_rate": "Spikes per second within an inference",
    "utilisation": "Share of the declared peak throughput",
    "edp": "Energy-delay product",
    "model.macs": "Multiply-accumulates an inference",
    "model.synops": "Synaptic operations an inference",
    "model.spikes": "Spikes an inference",
    "model.neuron_updates": "Neuron updates an inference",
    "model": "Model",
    "task": "Task",
    "clock_sweep.static_power.rest": "Power at rest that does not depend on the clock",
    "clock_sweep.static_power.active": "Power while inferring that does not depend on the clock",
    "clock_sweep.energy_per_cycle.rest": "Energy of a clock cycle at rest",
    "clock_sweep.energy_per_cycle.active": "Energy of a clock cycle while inferring",
    "clock_sweep.dynamic_energy": "Energy of an inference that depends on the clock",
    "clock_sweep.chi2_per_dof": "Chi-square per degree of freedom of the fit over the clock",
    "static_share.rest": "Share of the mean power that is drawn at rest and does not depend on the clock",
    "static_share.all": "Share of the mean power that does not depend on the clock",
    "supply_sweep.capacitance": "Capacitance that an inference switches",
    "supply_sweep.exponent": "Power of the supply voltage that it goes with",
    "supply_sweep.chi2_per_dof": "Chi-square per degree of freedom of the fit over the supply",
    "best_time_out": "Best sleep time-out",
    "poisson_power": "Mean power of Poisson arrivals",
    "battery_life.charge": "Battery life, by charge",
    "battery_life": "Battery life",
    "battery_pulse_voltage": "Battery voltage while the board draws its peak",
    "harvester.neutral_rate": "Rate that the harvester sustains",
    "harvester.buffer": "Least buffer capacitor for one event",
    "pooled.energy_per_inference": "Energy per inference of all captures",
    "closure.power_analyzer": "Closure test against the power analyzer",
    "closure": "Closure test",
    "naive.edge_gated": "Edge-gated estimate, for comparison only: biased",
}

# Ids are tried in this order.
MEAN_POWER = ("power.mean", "power.floor")
AT_RATE = ("energy_per_inference.at_rate",)
GROSS = ("energy_per_inference.gross",)
PER_EVENT = ("energy_per_inference.per_event",)
LATENCY = ("latency.pin.mean", "latency.pin", "latency.dut_counter.mean", "latency.dut_counter", "latency.host.mean", "latency.host")
LOWER_BOUND = "wake_up.current_rise_to_ready"
WAKE_UP = ("wake_up.total", "wake_up", LOWER_BOUND)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the summary: heading, what it means, and the ids that may fill it, best first."""

    heading: str
    meaning: str
    ids: tuple[str, ...]
    at_floor: bool = False  # also has a value at rate 0


SUMMARY: tuple[Column, ...] = (
    Column("Mean power", "over whole periods, rest included", MEAN_POWER, at_floor=True),
    Column("E at rate", "mean power / rate: what one inference costs at this rate, rest included", AT_RATE),
    Column("E gross", "inside the inference window, static power included", GROSS),
    Column("E per event", "wake to sleep, above the sleep power, tail included", PER_EVENT),
    Column("Latency", "start to end of one inference: by marker pin, else by the device's counter, else seen from the host", LATENCY),
    Column("Wake-up", "event to ready, load included; ≥: only from the rise of the current, a lower bound", WAKE_UP),
)


def title(kpi_id: str) -> str:
    """The printed name of a KPI id: the title of its longest known beginning, what follows added; an unknown id in words."""
    for cut in sorted((i for i, c in enumerate(kpi_id + ".") if c in ".["), reverse=True):
        known = TITLES.get(kpi_id[:cut])
        if known:
            rest = kpi_id[cut:].lstrip(".")
            return f"{known} {words(rest)}".strip() if rest.startswith("[") or not rest else f"{known}, {words(rest)}"
    return words(kpi_id)


def rank(kpi_id: str) -> tuple[int, str]:
    """Sorts ids in the order of TITLES, unknown ones last."""
    order = list(TITLES)
    found = next((order.index(known) for known in sorted(TITLES, key=len, reverse=True) if kpi_id.startswith(known)), len(order))
    return found, kpi_id


def point_label(point: OperatingPoint) -> str:
    return f"{MODES[point.mode]}, {rate_label(point.rate_hz)}"


def rate_label(rate_hz: float) -> str:
    return f"{rate_hz:g} /s"


def place(report: RunReport, at: str) -> str:
    """An operating point's key, a curve's key or a pair of modes in words, where the report knows it; else as it stands."""
    for point in report.points:
        if point.key == at:
            return point_label(point) + extras(report, point)
    for curve in report.curves:
        if curve.key == at:
            return curve_label(report, curve.key)
    pair = at.split("|")
    known = [curve_label(report, curve.key) for one in pair for curve in report.curves if curve.key == one]
    return " and ".join(known) if len(known) == len(pair) == 2 else _parts(at)


def _parts(at: str) -> str:
    """What a figure over a sweep, or at a rate that was not measured, has instead of an operating point: `event_sleep/v=3/dnn/r=1`."""
    mode, *rest = at.split("/")
    if mode not in tuple(Mode):
        return at
    found = [MODES[Mode(mode)]]
    for part in rest:
        key, given, value = part.partition("=")
        known = {"v": f"{value} V", "r": f"{value} /s"}
        found.append((known.get(key) or setting(key, value)) if given else part)
    return ", ".join(found)


def extras(report: RunReport, point: OperatingPoint) -> str:
    """What tells this point from others beyond mode and rate: model, supply and settings, where the run varies them."""
    parts = [point.model] if len({p.model for p in report.points}) > 1 else []
    parts += [f"{point.supply_v:g} V"] if len({p.supply_v for p in report.points}) > 1 else []
    parts += [setting(k, v) for k, v in sorted(point.settings.items()) if len({p.settings.get(k) for p in report.points}) > 1]
    return "".join(f", {part}" for part in parts)


def setting(key: str, value: str) -> str:
    """A setting of the DUT in words."""
    return f"{key} {float(value) / 1e6:g} MHz" if key == CLOCK else f"{key} {value}"


def curve_label(report: RunReport, key: str) -> str:
    """A curve's name in words: its mode, and what else the run varies; a mode's own name works as a key too."""
    for point in report.points:
        if key in {curve_key(point), str(point.mode)}:
            return MODES[point.mode] + (extras(report, point) if key != str(point.mode) else "")
    for curve in report.curves:
        if curve.key == key:
            return MODES[curve.mode]
    return key


def main_kpis(report: RunReport) -> list[tuple[str, KpiRecord]]:
    """(label, record) of the figures a reader takes away: floor and incremental energy per curve, then the break-even rates."""
    picked: list[tuple[str, KpiRecord]] = []
    for curve in report.curves:
        if curve.fit is not None:
            name = curve_label(report, curve.key)
            picked.append((f"Floor power, {name}", curve.fit.floor))
            picked.append((f"Incremental energy, {name}", curve.fit.incremental))
    picked += [
        (f"Break-even, {curve_label(report, b.first)} / {curve_label(report, b.second)}", b.record)
        for b in report.break_evens
        if value_of(b.record) is not None
    ]
    picked += [(f"Energy per inference, gross, {place(report, r.at)}", r) for r in fastest_gross(report)]
    return picked


def fastest_gross(report: RunReport) -> list[KpiRecord]:
    """Of each mode, the gross energy per inference at the highest measured rate that has one."""
    best: dict[Mode, KpiRecord] = {}
    for point in sorted(report.points, key=lambda p: p.rate_hz):
        record = report.find(point.key, *GROSS)
        if record is not None and value_of(record) is not None:
            best[point.mode] = record
    return list(best.values())


def variants(report: RunReport) -> dict[str, int]:
    """Per curve key, the position among the curves of its mode: tells curves of one mode (two models, say) apart in the plots."""
    seen: dict[Mode, int] = {}
    found: dict[str, int] = {}
    for curve in report.curves:
        found[curve.key] = seen.get(curve.mode, 0)
        seen[curve.mode] = found[curve.key] + 1
    return found
