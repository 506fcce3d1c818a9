"""The supply node: what the source, the load, the capacitors and the driven I/O lines make of its voltage and current."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd_virtual.clock import BoardClock, Timer, Urgency
from labd_virtual.contract import Integrals
from labd_virtual.motion import Circuit, Motion, crossing_s, solve
from labd_virtual.spec import BoardSpec
from labd_virtual.waveform import CHARGE, CHARGE_SQ, ENERGY, FLUX, I0, V0, Floats, History, Segment

# A crossing later than this is no event to plan for; something else changes first.
_FAR_S = 1e6


@dataclass(frozen=True, slots=True)
class Source:
    """The instrument that feeds the node: an emf behind a resistance, current limited to +-clamp_a."""

    emf_v: float = 0.0
    resistance_ohm: float = 1.0
    clamp_a: float = 1.0
    connected: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """What the board draws: a constant current, less what flows in through an I/O line (injection)."""

    current_a: float = 0.0
    injection_a: float = 0.0


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst the pins ever saw: supply pin, any driven I/O pin, and a driven I/O pin above the supply."""

    supply_v: float = 0.0
    io_v: float = 0.0
    io_over_supply_v: float = 0.0


class Supply:
    """`SupplyNode` for the instruments; `set_load`, `set_lines` and the power callbacks for the board.

    Everything is constant between two instants at which anything changes, so voltage and current are sums of exponentials there. An
    instant is a change from outside or a crossing (clamp, brown-out, power-on, I/O diode) that is computed when the segment begins.
    """

    def __init__(self, clock: BoardClock, spec: BoardSpec, *, horizon_s: float) -> None:
        self._clock = clock
        self._spec = spec
        self._history = History(round(horizon_s * 1e9))
        self._source = Source()
        self._load = Load()
        self._lines_v = 0.0  # highest level that the outside drives into an I/O pin; 0: none
        self._drop = self._bulk_drop = 0.0
        self._emf = 0.0
        self._clamped_since: int | None = None
        self._timer: Timer | None = None
        self._fell = False  # browned out since the source was last set
        self._motion: Motion
        self._segment: Segment
        self.powered = False
        self.on_power: Callable[[], None] = lambda: None
        self.worst = Worst()
        self._open(clock.now_ns())

    # --- what instruments see (contract.SupplyNode)

    def drive(self, *, emf_v: float, resistance_ohm: float, clamp_a: float, connected: bool) -> None:
        if resistance_ohm + self._spec.series_ohm < 1e-6 or clamp_a < 0:
            raise ValueError(f"a source has at least 1 uohm and a clamp of 0 A or more, got {resistance_ohm:g} ohm and {clamp_a:g} A")
        self._clock.touch()
        now = self._close()
        self._source = Source(emf_v, resistance_ohm, clamp_a, connected)
        self._fell = False
        self._open(now)

    def integrals(self, t_ns: NDArray[np.int64]) -> Integrals:
        self._clock.touch()
        sums = self._history.integrals(t_ns)
        return Integrals(sums[:, CHARGE], sums[:, CHARGE_SQ], sums[:, FLUX], sums[:, ENERGY])

    def current(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        self._clock.touch()
        return self._history.quantity(I0, t_ns)

    def voltage(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        self._clock.touch()
        return self._history.quantity(V0, t_ns)

    def clamped_since(self) -> int | None:
        return self._clamped_since

    # --- what the board does and asks

    def set_load(self, load: Load) -> None:
        if load != self._load:
            now = self._close()
            self._load = load
            self._open(now)

    def set_lines(self, level_v: float) -> None:
        """The highest level that anything outside drives into an I/O pin, 0 for none."""
        if level_v != self._lines_v:
            now = self._close()
            self._lines_v = level_v
            self._open(now)

    def reconfigure(self, spec: BoardSpec) -> None:
        """Other physics from now on; the capacitors keep their voltages."""
        now = self._close()
        self._spec = spec
        self._open(now)

    def node_v(self) -> float:
        """Voltage at the capacitors now."""
        return self._segment.at(self._segment.n, self._clock.now_ns())

    def rest_power_w(self) -> float:
        """Power at the boundary plane once everything has settled, if nothing changed any more."""
        return self._segment.settled(self._segment.i) * self._segment.settled(self._segment.v)

    def slowest_s(self) -> float:
        """The longest time constant of what moves now."""
        return 1 / (min(self._motion.rates) if self._spec.bulk_f > 0 else self._motion.rates[0])

    def backfeed_a(self) -> float:
        """Current that flows into the node through I/O lines now."""
        conductance, pull = self._diode(self.node_v())
        return self._injection() + pull - conductance * self.node_v()

    def sums(self, t_ns: Sequence[int]) -> Floats:
        """[n, SUMS] running integrals (columns of `waveform`) at instants, none later than now."""
        return self._history.integrals(np.array(t_ns, dtype=np.int64))

    def steps(self, t_ns: Sequence[int]) -> Floats:
        """[n-1, SUMS] integrals from each instant to the next, exact to float64 of the difference itself."""
        return self._history.steps(np.array(t_ns, dtype=np.int64))

    def stored_j(self) -> float:
        """Energy in the capacitors now."""
        node, bulk = self._motion.drops_at((self._clock.now_ns() - self._segment.t0_ns) * 1e-9)
        return 0.5 * self._spec.capacitance_f * (self._emf - node) ** 2 + 0.5 * self._spec.bulk_f * (self._emf - bulk) ** 2

    def known_from_ns(self) -> int:
        """Since when its history is kept."""
        return self._history.begins_ns

    def segments(self) -> int:
        return len(self._history)

    def note_worst(self) -> None:
        """Look at the pins now."""
        self._note(self._segment.at(self._segment.v, self._clock.now_ns()), self.node_v())

    # --- the machinery

    def _close(self) -> int:
        """Carry the state to now, which it returns: in real time the next look at the clock would be later."""
        now = self._clock.now_ns()
        self._drop, self._bulk_drop = self._motion.drops_at((now - self._segment.t0_ns) * 1e-9)
        self._note(self._segment.at(self._segment.v, now), self._emf - self._drop)
        return now

    def _open(self, now: int, *, may_switch: bool = False) -> None:
        """Begin a segment with the present sources. may_switch: the supervisor may act (it must not in the middle of a change of load)."""
        emf = self._emf_with_ripple(now)
        self._drop += emf - self._emf
        self._bulk_drop += emf - self._emf
        self._emf = emf
        changed = may_switch and self._switch_power()
        clamp = self._clamp()
        self._clamped_since = None if clamp == 0 else now if self._clamped_since is None else self._clamped_since
        self._motion = solve(self._circuit(clamp), self._drop, self._bulk_drop)
        self._segment = self._as_segment(now, clamp)
        self._history.append(self._segment)
        self._note(self._segment.v[0], self._segment.n[0])
        self._plan(now, clamp)
        if changed:
            self.on_power()

    def _switch_power(self) -> bool:
        """The board's supervisor: brown-out below least_v, on again at starts_v."""
        node = self._emf - self._drop
        was = self.powered
        self.powered = node >= (self._spec.least_v if was else self._spec.starts_v)
        if was and not self.powered:
            self._load = Load()
            self._fell = True
        return was != self.powered

    def _emf_with_ripple(self, now: int) -> float:
        ripple = self._spec.ripple_v
        if ripple and self._source.connected and self._source.emf_v:
            ripple = ripple if (now // self._half_ripple_ns()) % 2 == 0 else -ripple
            return self._source.emf_v + ripple
        return self._source.emf_v

    def _half_ripple_ns(self) -> int:
        return round(0.5e9 / self._spec.ripple_hz)

    def _total_ohm(self) -> float:
        return self._source.resistance_ohm + self._spec.series_ohm

    def _clamp(self) -> int:
        """+1 or -1 while the source limits its current, else 0."""
        current = self._drop / self._total_ohm()
        if not self._source.connected or abs(current) < self._source.clamp_a:
            return 0
        return 1 if current > 0 else -1

    def _injection(self) -> float:
        return self._load.injection_a if self._lines_v > 0 else 0.0

    def _diode(self, node_v: float) -> tuple[float, float]:
        """(conductance, current at 0 V) of the protection diode between a driven line and the supply rail."""
        reach = self._lines_v - self._spec.io_diode_v
        return (1 / self._spec.io_ohm, reach / self._spec.io_ohm) if node_v < reach else (0.0, 0.0)

    def _draining_s(self) -> float:
        return 1 / self._spec.bleed_ohm + (0.0 if self.powered else 1 / self._spec.off_ohm)

    def _circuit(self, clamp: int) -> Circuit:
        source, spec = self._source, self._spec
        diode_s, diode_a = self._diode(self._emf - self._drop)
        return Circuit(
            emf_v=self._emf,
            to_emf_s=1 / self._total_ohm() if source.connected and clamp == 0 else 0.0,
            to_ground_s=self._draining_s() + diode_s,
            inflow_a=clamp * source.clamp_a + diode_a + self._injection() - self._load.current_a,
            capacitance_f=spec.capacitance_f,
            bulk_f=spec.bulk_f,
            bulk_ohm=spec.bulk_ohm,
        )

    def _as_segment(self, now: int, clamp: int) -> Segment:
        x0, x1, x2 = self._motion.node
        node = (self._emf - x0, -x1, -x2)
        if not self._source.connected or clamp:
            current = (clamp * self._source.clamp_a, 0.0, 0.0)
        else:
            ohm = self._total_ohm()
            current = (x0 / ohm, x1 / ohm, x2 / ohm)
        series = self._spec.series_ohm
        terminal = (node[0] + series * current[0], node[1] + series * current[1], node[2] + series * current[2])
        return Segment(now, self._motion.rates, current, terminal, node, self._load.current_a, self._draining_s(), series)

    def _plan(self, now: int, clamp: int) -> None:
        """Set the timer for the next instant at which something changes by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        first = min(
            (crossing_s(self._motion.node, self._motion.rates, d, rising=up) for d, up in self._thresholds(clamp)), default=math.inf
        )
        due = now + max(1, math.ceil(first * 1e9)) if first < _FAR_S else None
        if self._spec.ripple_v and self._source.connected and self._source.emf_v:
            flip = (now // self._half_ripple_ns() + 1) * self._half_ripple_ns()
            due = flip if due is None else min(due, flip)
        if due is not None:
            self._timer = self._clock.call_at(due, self._pass, urgency=self._urgency(ahead=first < _FAR_S))

    def _urgency(self, *, ahead: bool) -> Urgency:
        """A supply on its way up makes time pass: the board is about to boot. Not so one that a clamp lets fall again and again."""
        if not (ahead and self.fed and not self.powered):
            return Urgency.PASSIVE
        return Urgency.PATIENT if self._fell else Urgency.ACTIVE

    @property
    def fed(self) -> bool:
        """The source is meant to keep the board running."""
        return self._source.connected and self._source.emf_v > self._spec.starts_v

    def _thresholds(self, clamp: int) -> list[tuple[float, bool]]:
        """Drops at which the circuit changes, each with the direction (True: rising drop)."""
        emf, node = self._emf, self._emf - self._drop
        found = [(emf - self._spec.least_v, True)] if self.powered else [(emf - self._spec.starts_v, False)]
        if self._source.connected:
            edge = self._total_ohm() * self._source.clamp_a
            if clamp == 0:
                found += [(edge, True), (-edge, False)]
            else:
                found.append((clamp * edge, clamp < 0))
        reach = self._lines_v - self._spec.io_diode_v
        if reach > 0:
            found.append((emf - reach, node >= reach))
        return found

    def _pass(self) -> None:
        self._timer = None
        self._open(self._close(), may_switch=True)

    def _note(self, terminal_v: float, node_v: float) -> None:
        worst = self.worst
        over = self._lines_v - node_v if self._lines_v > 0 else 0.0
        if terminal_v > worst.supply_v or self._lines_v > worst.io_v or over > worst.io_over_supply_v:
            self.worst = Worst(max(terminal_v, worst.supply_v), max(self._lines_v, worst.io_v), max(over, worst.io_over_supply_v))
