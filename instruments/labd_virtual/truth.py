"""Exact truth of every event: its edges, the energy through the boundary plane and what each phase caused of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from labd_virtual.clock import BoardClock, Timer
from labd_virtual.load import Phase, State
from labd_virtual.supply import Supply
from labd_virtual.waveform import CHARGE, ENERGY, LOAD_ENERGY

# exp(-25) = 1.4e-11 of a current step is left when a burst counts as recovered.
_RECOVERED_TAUS = 25
_RISE_NS = 20_000_000
_REST_OF_NOTE_NS = 100_000_000

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """The board did one thing from start to end; `code` False: no code ran (oscillator start)."""

    phase: Phase
    start_ns: int
    end_ns: int
    code: bool = True


@dataclass(slots=True)
class Burst:
    """An event being recorded. from_ns: where its energy begins, after event_ns when the board was still busy with the one before."""

    cause: str
    event_ns: int
    from_ns: int
    settled_power_w: float
    rest: Record
    awake_ns: int = 0
    asleep_ns: int = 0
    spans: list[Span] = field(default_factory=list)

    def windows(self) -> list[list[int]]:
        """Stretches of inference without another phase between: [start, end]."""
        found: list[list[int]] = []
        before: Phase | None = None
        for span in self.spans:
            if span.phase is Phase.INFER and before is Phase.INFER:
                found[-1][1] = span.end_ns
            elif span.phase is Phase.INFER:
                found.append([span.start_ns, span.end_ns])
            before = span.phase
        return found

    def ready_ns(self, start_ns: int) -> int:
        """Parameters resident: end of the last load before the inference, else of the first wake-up code, else when code ran."""
        before = [s for s in self.spans if s.code and s.end_ns <= start_ns]
        loads = [s.end_ns for s in before if s.phase is Phase.LOAD]
        wakes = [s.end_ns for s in before if s.phase is Phase.WAKE]
        return loads[-1] if loads else wakes[0] if wakes else self.awake_ns


class Truth:
    """Told by the board what happens; hands each finished record to `sink` (None: nobody wants to know, nothing is kept).

    Records (JSON): `event`, `rest` (100 ms or longer), `power`, `start`, `mark`. Times are board nanoseconds; energies J and
    charges C; cumulative ones since the bench began. load_j: energy at the load by phase, the board's series drop charged to the load that
    causes it.
    """

    def __init__(self, clock: BoardClock, supply: Supply, sink: Callable[[Record], None] | None) -> None:
        self._clock = clock
        self._supply = supply
        self._sink = sink
        self._burst: Burst | None = None
        self._recovering: Burst | None = None
        self._timer: Timer | None = None
        self._rest: Record = {}
        self._events = 0
        self._supplied_ns = 0
        self._booting_ns: int | None = None

    def rest_begins(self, state: State, phase: Phase) -> None:
        self._end_burst()
        self._rest = {"state": int(state), "phase": phase.name.lower(), "start_ns": self._clock.now_ns()}

    def event(self, cause: str, event_ns: int) -> None:
        """Something woke the board. Tell before the load changes."""
        if self._sink is None:
            return
        self._end_burst()
        self._finish()
        power = self._supply.rest_power_w()
        self._note_rest(power)
        self._burst = Burst(cause, event_ns, self._clock.now_ns(), power, self._rest)
        self._rest = {}

    def awake(self) -> None:
        """Code runs (the tail wakes again, which is no news)."""
        if self._burst is not None and not self._burst.awake_ns:
            self._burst.awake_ns = self._clock.now_ns()

    def span(self, span: Span) -> None:
        if self._burst is not None and span.end_ns > span.start_ns:
            self._burst.spans.append(span)

    def power(self, *, on: bool, resets: int, least_v: float) -> None:
        """Brown-out or power-on: what was going on has no truth. least_v: where the supply is enough."""
        self._burst, self._recovering, self._rest = None, None, {}
        if on:
            self._supplied_ns = self._reached_ns(least_v)
        self._booting_ns = None
        self._put({"kind": "power", "on": on, "t_ns": self._clock.now_ns(), "resets": resets})

    def boots(self) -> None:
        """Code begins to run."""
        self._booting_ns = self._supplied_ns

    def listens(self) -> None:
        """Code waits for somebody: the first time after its boot it is ready."""
        since_ns, self._booting_ns = self._booting_ns, None
        if since_ns is not None and self._sink is not None:
            now = self._clock.now_ns()
            step = self._supply.steps([since_ns, now])[0]
            self._put({"kind": "start", "supplied_ns": since_ns, "ready_ns": now, "energy_j": float(step[ENERGY])})

    def mark(self, label: str = "") -> Record:
        """Cumulative energy and charge now; mean power between two marks is exact."""
        now = self._clock.now_ns()
        sums = self._supply.sums([now])[0]
        record = {"kind": "mark", "label": label, "t_ns": now, "cum_energy_j": float(sums[ENERGY]), "cum_charge_c": float(sums[CHARGE])}
        self._put(record)
        return record

    def _reached_ns(self, least_v: float) -> int:
        """When the supply last rose to a level, to a microsecond."""
        now = self._clock.now_ns()
        t_ns = np.arange(max(now - _RISE_NS, self._supply.known_from_ns()), now + 1, 1000, dtype=np.int64)
        below = np.flatnonzero(self._supply.voltage(t_ns) < least_v)
        return int(t_ns[min(below[-1] + 1, len(t_ns) - 1)]) if len(below) else now

    def _end_burst(self) -> None:
        burst, self._burst = self._burst, None
        if burst is None or not burst.windows():
            return
        burst.asleep_ns = self._clock.now_ns()
        self._recovering = burst
        # Slow parts (a bulk capacitor) are those of the rest that follows; the wake-up of the next event ends the wait anyway.
        wait_ns = round(_RECOVERED_TAUS * self._supply.slowest_s() * 1e9)
        self._timer = self._clock.call_at(burst.asleep_ns + wait_ns, self._finish)

    def _finish(self) -> None:
        """The supply has recovered, or the next event ends the wait for that."""
        burst, self._recovering = self._recovering, None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            if burst is not None:
                self._put(self._describe(burst, recovered=self._clock.now_ns() >= timer.t_ns))

    def _describe(self, burst: Burst, *, recovered: bool) -> Record:
        windows = burst.windows()
        end_ns = self._clock.now_ns()
        edges = [burst.from_ns, *(s.start_ns for s in burst.spans), burst.spans[-1].end_ns, end_ns]
        steps = self._supply.steps(edges)
        whole = self._supply.steps([burst.from_ns, burst.asleep_ns, end_ns])
        start = self._supply.sums([burst.from_ns])[0]
        load: dict[str, float] = defaultdict(float)
        for span, step in zip(burst.spans, steps[1:-1], strict=True):
            load[span.phase.name.lower()] += float(step[LOAD_ENERGY])
        self._events += 1
        return {
            "kind": "event",
            "n": self._events,
            "cause": burst.cause,
            "event_ns": burst.event_ns,
            "from_ns": burst.from_ns,
            "awake_ns": burst.awake_ns,
            "ready_ns": burst.ready_ns(windows[0][0]),
            "start_ns": windows[0][0],
            "end_ns": windows[-1][1],
            "asleep_ns": burst.asleep_ns,
            "recovered_ns": end_ns,
            "recovered": recovered,
            "windows": windows,
            "energy_j": float(whole[:, ENERGY].sum()),
            "charge_c": float(whole[:, CHARGE].sum()),
            "edge_gated_j": float(whole[0, ENERGY]),
            "load_j": dict(load),
            "oscillator_j": float(sum(step[LOAD_ENERGY] for s, step in zip(burst.spans, steps[1:-1], strict=True) if not s.code)),
            "cum_energy_j": float(start[ENERGY]),
            "cum_charge_c": float(start[CHARGE]),
            "rest": {**burst.rest, "settled_power_w": burst.settled_power_w},
        }

    def _note_rest(self, power_w: float) -> None:
        now = self._clock.now_ns()
        if not self._rest or now - self._rest["start_ns"] < _REST_OF_NOTE_NS:
            return
        step = self._supply.steps([self._rest["start_ns"], now])[0]
        energy, charge = float(step[ENERGY]), float(step[CHARGE])
        self._put({"kind": "rest", **self._rest, "end_ns": now, "energy_j": energy, "charge_c": charge, "settled_power_w": power_w})

    def _put(self, record: Record) -> None:
        if self._sink is not None:
            self._sink(record)


class TruthFile:
    """JSON lines."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def put(self, record: Record) -> None:
        self._file.write(json.dumps(record) + "\n")

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()
