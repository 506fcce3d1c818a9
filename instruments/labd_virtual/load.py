"""What the board draws in each state, how much that varies from event to event, and how warm it gets."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np

from labd_virtual.engine import Operation, clocked_a, engine_a, leaking_a
from labd_virtual.oscillator import Oscillator
from labd_virtual.spec import BoardSpec
from labd_virtual.wander import wander


class Phase(enum.IntEnum):
    """Phases as the firmware numbers them (decision 0002)."""

    OFF = 0
    RAMP = 1
    SLEEP = 2
    WAKE = 3
    LOAD = 4
    INFER = 5
    TAIL = 6
    IDLE = 7


class State(enum.IntEnum):
    """What the core does; the first five are the firmware's WAIT states (decision 0002)."""

    BUSY_POLL = 0
    WFI = 1
    CLOCK_GATED = 2
    SLEEP_RETAINED = 3
    SLEEP_MODEL_OFF = 4
    DEEP_RETAINED = 5
    DEEP_MODEL_OFF = 6
    STARTING = 7  # reset or oscillator start: no code runs
    RUNNING = 8
    UNPOWERED = 9


SLEEPING = frozenset({State.SLEEP_RETAINED, State.SLEEP_MODEL_OFF, State.DEEP_RETAINED, State.DEEP_MODEL_OFF})
UNCLOCKED = SLEEPING | {State.STARTING, State.UNPOWERED}  # the fast oscillator is off
RESTING = frozenset({Phase.SLEEP, Phase.IDLE})


@dataclass(frozen=True, slots=True)
class Doing:
    """State and phase, and for running code its activity (0..1), this event's power factor, and what the engine does in its place."""

    state: State
    phase: Phase
    activity: float = 0.0
    factor: float = 1.0
    operation: Operation | None = None


def core_a(spec: BoardSpec, doing: Doing, supply_v: float) -> float:
    """Current of core and engine (A), without regulator and leakage."""
    if doing.operation is not None:
        return engine_a(spec, doing.operation, supply_v) * doing.factor
    if doing.state is State.RUNNING:
        running = spec.load_a if doing.phase is Phase.LOAD else spec.run_static_a + spec.run_dynamic_a * doing.activity
        return clocked_a(spec, running, supply_v) * doing.factor
    clocked = {
        State.BUSY_POLL: spec.busy_poll_a,
        State.WFI: spec.tail_a if doing.phase is Phase.TAIL else spec.wfi_a,
        State.CLOCK_GATED: spec.clock_gated_a,
    }
    if doing.state in clocked:
        return clocked_a(spec, clocked[doing.state], supply_v)
    if doing.state is State.STARTING:
        return spec.oscillator_a
    retained = doing.state in {State.SLEEP_RETAINED, State.DEEP_RETAINED}
    deep = doing.state in {State.DEEP_RETAINED, State.DEEP_MODEL_OFF}
    asleep = spec.sleep_core_a + (spec.retention_a if retained else 0.0) + (spec.deep_sleep_a if deep else 0.0)
    return leaking_a(spec, asleep, supply_v)


def board_a(spec: BoardSpec, doing: Doing, rise_k: float, *, supply_v: float) -> float:
    """All that the board draws (A) beside its bleed; leakage grows exponentially with temperature above 25 Cel."""
    if doing.state is State.UNPOWERED:
        return 0.0
    leakage = spec.leakage_a * math.exp(spec.leakage_per_k * (spec.ambient_c + rise_k - 25.0))
    return core_a(spec, doing, supply_v) + spec.regulator_quiescent_a + leaking_a(spec, leakage, supply_v)


class Dispersion:
    """Factors drawn once an event: lognormal with mean 1, first-order autoregressive from event to event."""

    def __init__(self, spec: BoardSpec, rng: np.random.Generator) -> None:
        self._rng = rng
        self._cycles, self._power = rng.standard_normal(2).tolist()
        error = rng.uniform(-spec.clock_error_limit, spec.clock_error_limit)
        self.clock_error = float(error if spec.clock_error is None else spec.clock_error)

    def oscillator_of(self, spec: BoardSpec, rng: np.random.Generator) -> Oscillator:
        """The chip's own clock; where in its wander it is at time 0 is drawn."""
        if not spec.clock_wander:
            return Oscillator(self.clock_error)
        phase_rad = float(rng.uniform(0, math.tau))
        way = wander(spec.clock_wander_shape, rng)
        return Oscillator(self.clock_error, spec.clock_wander, spec.clock_wander_s, phase_rad, way)

    def event(self, spec: BoardSpec) -> tuple[float, float]:
        """(factor on cycles, factor on current) of the next event."""
        rho, fresh = spec.dispersion_rho, self._rng.standard_normal(2).tolist()
        self._cycles = rho * self._cycles + math.sqrt(1 - rho * rho) * fresh[0]
        self._power = rho * self._power + math.sqrt(1 - rho * rho) * fresh[1]
        return _lognormal(spec.cycle_dispersion, self._cycles), _lognormal(spec.power_dispersion, self._power)

    def oscillator(self, spec: BoardSpec) -> float:
        """Duration of the next oscillator start (s)."""
        return spec.oscillator_s * _lognormal(spec.oscillator_dispersion, float(self._rng.standard_normal()))


def _lognormal(sigma: float, standard: float) -> float:
    return math.exp(sigma * standard - sigma * sigma / 2)


class Warmth:
    """Temperature rise of the silicon above ambient: one thermal resistance and time constant."""

    def __init__(self) -> None:
        self.rise_k = 0.0
        self._since_ns = 0

    def carry(self, now_ns: int, power_w: float, spec: BoardSpec) -> None:
        """`power_w` was dissipated from the last call until now."""
        settled = power_w * spec.thermal_k_per_w
        self.rise_k += (settled - self.rise_k) * -math.expm1(-(now_ns - self._since_ns) * 1e-9 / spec.thermal_tau_s)
        self._since_ns = now_ns
