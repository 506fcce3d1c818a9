"""What each figure of a capture should be: from the board's own records, never from labd.

Figures of a single event (energies, durations) are estimates of the board's expectation, not of the sample: their truth comes from a twin
board without dispersion, scaled by the supply voltage of this capture. Rest powers and achieved rates are what they were in the capture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.accuracy.lab import FLOOR_MARK, Lab, Measured, TruthRecord, open_lab, point
from labd.records import Mode, Role

QUIET = {"noise": 1e-3, "drift": 0.0, "range_transient": 0.0, "hum_a": 0.0}
FAULTLESS: Mapping[str, Any] = {"accuracy": [], "timebase": 0.0, "fixture_leakage_a": 0.0, "line_delay_s": 0.0}  # of the instrument
STILL = {"cycle_dispersion": 0.0, "power_dispersion": 0.0, "oscillator_dispersion": 0.0}
CLOCK_ERROR = {"clock_error": 12e-6}  # one board: its clock is off by as much throughout


@dataclass(frozen=True, slots=True)
class Expected:
    """Expectations of one mode, SI units, at supply_v. net: burst energy above rest. peak_w: largest 1 ms mean at the boundary."""

    supply_v: float
    net_j: float
    net_c: float
    infer_j: float
    infer_s: float
    wake_s: float
    load_s: float
    on_s: float
    peak_w: float


def events_of(truth: Sequence[TruthRecord]) -> list[TruthRecord]:
    return [r for r in truth if r["kind"] == "event" and r["recovered"]]


async def expectations(board: dict[str, Any] | None = None, after: Mapping[str, Any] | None = None) -> dict[Mode, Expected]:
    """From a twin without dispersion, measured by an instrument without errors. after: what happens to both once they are powered."""
    async with open_lab(board=CLOCK_ERROR | (board or {}) | STILL, changes={"unkind": QUIET}, smu=FAULTLESS) as lab:
        lab.disturb(after or {})
        found = await expected_of(lab)
        lab.disturb(dict.fromkeys(after or {}, False))
        return found


async def expected_of(twin: Lab) -> dict[Mode, Expected]:
    return {mode: await _expected(twin, mode) for mode in (Mode.ALWAYS_ON, Mode.EVENT_SLEEP, Mode.EVENT_RELOAD)}


async def _expected(lab: Lab, mode: Mode) -> Expected:
    measured = await lab.measure(point(mode, 17.3), Role.MEAN, events=12)
    events = events_of(measured.truth)[1:-1]
    assert len(events) >= 8, "the twin's events have no truth"
    return Expected(
        supply_v=_mean(e["energy_j"] / e["charge_c"] for e in events),
        net_j=_mean(net_energy(e) for e in events),
        net_c=_mean(e["charge_c"] - rest_current(e) * (e["recovered_ns"] - e["from_ns"]) * 1e-9 for e in events),
        infer_j=_mean(e["load_j"]["infer"] for e in events),
        infer_s=_mean(duration(e, "start_ns", "end_ns") for e in events),
        wake_s=_mean(duration(e, "event_ns", "awake_ns") for e in events),
        load_s=_mean(duration(e, "awake_ns", "ready_ns") for e in events),
        on_s=_mean(duration(e, "event_ns", "asleep_ns") for e in events),
        peak_w=lab.last_boxcar_w(1e-3),
    )


def truth_of(measured: Measured, expected: Expected) -> dict[str, float]:
    """KPI id to its true value, for the ids that this capture can be judged by."""
    role, mode = measured.result.role, measured.result.point.mode
    if role is Role.FLOOR:
        marks = [r for r in measured.truth if r["kind"] == "mark" and r["label"] == FLOOR_MARK]
        energy_j = marks[-1]["cum_energy_j"] - marks[0]["cum_energy_j"]
        return {"power.floor": energy_j / ((marks[-1]["t_ns"] - marks[0]["t_ns"]) * 1e-9)}
    events = events_of(measured.truth)
    supply_v = _mean(e["energy_j"] / e["charge_c"] for e in events)
    scale = supply_v / expected.supply_v
    rest_w = _mean(e["rest"]["settled_power_w"] for e in events)
    net_j = expected.net_j * scale
    true = {"latency.pin.mean": expected.infer_s, "power.peak[1ms]": _peak(events, expected) * scale}
    if mode.is_event:
        true |= {
            "energy_per_inference.net_of_sleep": net_j,
            "energy_per_inference.per_event": net_j + rest_w * expected.on_s,
            "energy_per_inference.gross": expected.infer_j * scale,
            "charge_per_inference": expected.net_c + rest_w / supply_v * expected.on_s,
            "power.sleep": rest_w,
        }
    else:
        true |= {
            "energy_per_inference.net_of_idle": net_j,
            "energy_per_inference.gross": net_j + rest_w * expected.infer_s,
            "charge_per_inference": expected.net_c + rest_w / supply_v * expected.infer_s,
            "power.idle": rest_w,
        }
    if role is Role.MEAN:
        true["power.mean"], rate_hz = _mean_power(events, net_j)
        true["energy_per_inference.at_rate"] = true["power.mean"] / rate_hz
    else:
        true |= {
            "wake_up.wake": expected.wake_s,
            "wake_up.load": expected.load_s,
            "wake_up.total": expected.wake_s + expected.load_s,
        }
    return true


def _mean_power(events: Sequence[TruthRecord], net_j: float) -> tuple[float, float]:
    """Mean power over whole periods and the rate: as it was, with the energy of these events replaced by the expected one."""
    seconds = (events[-1]["from_ns"] - events[0]["from_ns"]) * 1e-9
    rate_hz = (len(events) - 1) / seconds
    as_it_was = (events[-1]["cum_energy_j"] - events[0]["cum_energy_j"]) / seconds
    return as_it_was + rate_hz * (net_j - _mean(net_energy(e) for e in events[:-1])), rate_hz


def net_energy(event: TruthRecord) -> float:
    return float(event["energy_j"] - event["rest"]["settled_power_w"] * (event["recovered_ns"] - event["from_ns"]) * 1e-9)


def rest_current(event: TruthRecord) -> float:
    return float(event["rest"]["settled_power_w"] * event["charge_c"] / event["energy_j"])


def duration(event: TruthRecord, start: str, end: str) -> float:
    return float(event[end] - event[start]) * 1e-9


def _peak(events: Sequence[TruthRecord], expected: Expected) -> float:
    """The strongest event's: its inference power over the expected one times the expected peak."""
    nominal = expected.infer_j / expected.infer_s
    strongest = max(
        e["load_j"]["infer"] / duration(e, "start_ns", "end_ns") * expected.supply_v * e["charge_c"] / e["energy_j"] for e in events
    )
    return float(expected.peak_w * strongest / nominal)


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))
