"""Which way a KPI is better, and what it depends on beside the board and the net. Pure."""

from __future__ import annotations

import enum

from labd.kpi.combined import LATENCIES, NETS
from labd.kpi.table import Domain, begins, row_of


class Better(enum.StrEnum):
    LESS = "less"
    MORE = "more"


LESS = (
    *("energy_per_inference", "charge_per_inference", "energy_per_op", "energy_per_synop", "energy_per_spike", "edp"),
    *("power", "fit.floor_power", "fit.incremental_energy", "latency", "wake_up", "start_time", "start_energy", "start_peak"),
    *("clock_sweep.static_power", "clock_sweep.energy_per_cycle", "clock_sweep.dynamic_energy", "supply_sweep.capacitance"),
    "poisson_power",
    *("task.false_positive_rate", "model.footprint"),
)
MORE = (
    *("inferences_per_joule", "energy_efficiency", "area_efficiency", "throughput", "largest_rate", "battery_life"),
    *("task.accuracy", "task.balanced_accuracy", "task.precision", "task.recall", "task.specificity", "task.f1", "task.auc"),
    *("task.mean_average_precision", "harvester.neutral_rate"),
)
ENERGY = (
    *("energy_per_inference", "charge_per_inference", "phase_energy", "energy_per_op", "energy_per_synop", "energy_per_spike", "edp"),
    *("power", "fit", "inferences_per_joule", "energy_efficiency", "battery_life", "break_even_rate", "start_energy", "start_peak"),
    *("clock_sweep", "supply_sweep", "static_share", "best_time_out", "poisson_power", "harvester", "battery_pulse_voltage"),
)
PER_OPERATION = (
    *("energy_per_op", "energy_per_synop", "energy_per_spike", "energy_efficiency", "area_efficiency", "throughput", "utilisation"),
    "hardware.peak_throughput",
)
# what a duty cycle, a rate or a battery is part of: no property of board and net alone
OF_THE_USE_CASE = (
    *("energy_per_inference.at_rate", "power.mean", "throughput.at_rate", "inference_rate", "duty_cycle", "battery_life"),
    *("break_even_rate", "static_share", "poisson_power", "harvester", "battery_pulse_voltage"),
)
# what is computed from which measured figure (labd.kpi.combined): it is as comparable as that is
RESTS_ON = {
    "inferences_per_joule": ("energy_per_inference.gross",),
    "energy_per_op": ("energy_per_inference.gross",),
    "energy_efficiency": ("energy_per_inference.gross",),
    "edp": ("energy_per_inference.gross", *LATENCIES),
    "energy_per_synop": tuple(f"energy_per_inference.{kind}" for kind in NETS),
    "energy_per_spike": tuple(f"energy_per_inference.{kind}" for kind in NETS),
    "throughput.one_in_flight": LATENCIES,
    "area_efficiency": LATENCIES,
    "utilisation": LATENCIES,
    "spike_rate": LATENCIES,
    "energy_per_inference.at_rate": ("power.mean",),
    "battery_life": ("power.mean",),
}
# figures that somebody gives without a mode say nothing: always-on and event-based differ by the floor
OF_A_MODE = (*ENERGY, "hardware.power", "wake_up", "duty_cycle")
_APART = (Domain.MEASUREMENT,)


def better(kpi: str) -> Better | None:
    """None for what is neither good nor bad, such as the rate that a plan asks for."""
    found = [(len(one), way) for way, ids in ((Better.LESS, LESS), (Better.MORE, MORE)) for one in ids if begins(kpi, one)]
    return max(found)[1] if found else None


def is_any(kpi: str, beginnings: tuple[str, ...]) -> bool:
    return any(begins(kpi, one) for one in beginnings)


def concerned(kpi: str, beginnings: tuple[str, ...]) -> bool:
    """Whether an id is one of these or lies below one, or rests on one that does: `inferences_per_joule.gross` on
    `energy_per_inference.gross`."""
    bases = (base for derived, rests in RESTS_ON.items() if begins(kpi, derived) for base in rests)
    return is_any(kpi, beginnings) or any(begins(base, one) or begins(one, base) for base in bases for one in beginnings)


def is_compared(kpi: str) -> bool:
    """Whether it tells of the net, the chip or both: not of the measurement itself."""
    row = row_of(kpi)
    return row is not None and row.domain not in _APART and kpi != "fit.chi2_per_dof"
