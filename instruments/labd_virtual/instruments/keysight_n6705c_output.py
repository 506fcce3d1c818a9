"""The sourcing side of an N678xA: output, limits, protections, and what the regulator does when its sense leads are wrong."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np

from labd_virtual.front_end import row_for
from labd_virtual.instruments.keysight_n6705c_modules import PROTECTION_MAX, Locus, Model
from labd_virtual.persona import PersonaSetup

# Questionable and operation bits: "Keysight N6705C Operating and Service Guide", p. 350.
OV, OC, LIMIT, PROT, OSC = 1, 2, 128, 2048, 4096
CV, CC, OFF = 1, 2, 4
Background = Callable[[Coroutine[Any, Any, None], str], None]

ON_DELAY_S, OFF_DELAY_S = 0.040, 0.022  # "Series N6700 User's Guide", p. 77: 35 to 50 ms on, 20 to 25 ms off
SETTLE_S = 1e-3
_OUTPUT_OHM = 2e-3  # assumed: what regulation leaves over at the sense point
WATCHDOG_SINK_S = 2e-3  # N6900/N7900 guide, p. 251 (sister family): a protection with low impedance sinks for 2 ms, then disconnects
_SINK_OHM = 1.0  # assumed: what LOWZ puts across the output until the relays open
_LOCAL_ABOVE_V = 1.5  # N6705 User's Guide, p. 39
_RAMP_STEPS, _RAMP_STEP_S = 5, 200e-6  # assumed wind-up time of the regulator with open sense leads


class Output:
    """One output that feeds the node. Voltage priority only.

    With remote sense selected and the sense leads open or swapped the regulator never sees its target: it drives the terminals up to the
    over-voltage level and trips there within a millisecond; swapped leads defeat that level, and what trips, at once, is the protection at
    the terminals 1.5 V above it (N6705 User's Guide, p. 39). A real N6781A with open leads goes 1 % above its level only (same page) and
    may trip sooner (N6700C guide, p. 304); a procedure that is safe here is safe there.
    """

    def __init__(self, setup: PersonaSetup, model: Model, background: Background) -> None:
        self._model = model
        self._setup, self._node, self._clock, self._background = setup, setup.node, setup.clock, background
        self._gain = self._offset = 0.0
        self.wanted = self._connected = False
        self.reset()

    def redraw(self, rng: np.random.Generator) -> None:
        """Programming error: same limits as the 20 V measuring range, drawn apart from it."""
        row = row_for(self._setup.accuracy, "voltage", 20.0)
        self._gain, self._offset = row.gain * rng.uniform(-1, 1), row.offset * rng.uniform(-1, 1)

    def reset(self) -> None:
        self.volt, self.limit, self.protection = 0.0, 0.1, PROTECTION_MAX
        self.locus: Locus = self._model.loci[-1]
        # assumed, as no page at hand says what a reset does: the case in which CURRent:LIMit alone leaves the sinking side where it was
        self.coupled, self.sunk_limit = False, -self.locus.ampere
        self.ampere = 0.0  # kept, and without effect in voltage priority (N6700 guide, current settings)
        self.remote, self.trip_on_limit, self.delay_s = False, False, 0.02
        self.off_mode, self.tripped, self.wanted, self._settled_ns = "LOWZ", 0, False, 0
        self._disconnect()

    @property
    def on(self) -> bool:
        return self.wanted and not self.tripped

    @property
    def programmed(self) -> bool:
        """What OUTPut? says. The watchdog leaves the programmed state as it is (N6700C guide, p. 158)."""
        return self.wanted and not self.tripped & ~PROT

    @property
    def connected(self) -> bool:
        """Whether the relays are closed; open ones take the meter away from the board as well."""
        return self._connected

    @property
    def settled_ns(self) -> int:
        return self._settled_ns

    async def switch(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        """OUTPut[:STATe]. On takes as long as the relays do; off acts at once and the relays open behind it, so that nothing that holds
        board time back can delay it."""
        was_on, self.wanted = self.on, on
        if on and not was_on and not self.tripped:
            await self._sleep(ON_DELAY_S)
            await self.apply()
        elif was_on and not on:
            if self.off_mode == "LOWZ":
                self._drive(emf_v=0.0, resistance_ohm=_SINK_OHM, clamp_a=self._model.most_a, connected=True)
            else:
                self._disconnect()
            self._settled_ns = self._clock.now_ns() + round(OFF_DELAY_S * 1e9)
            self._background(self._open_relays(self._settled_ns), "relays")

    async def _open_relays(self, t_ns: int) -> None:
        await self._clock.sleep_until(t_ns)
        if not self.on:
            self._disconnect()

    async def apply(self) -> None:
        """Bring the present settings to the terminals."""
        if not self.on:
            return
        if self.volt > self.protection:
            self._trip(OV)
            return
        if self._setup.trap == "oscillation" and self.volt:
            self._trip(OSC)  # N6705C Operating and Service Guide, p. 198: detected and latched off, on by default
            return
        emf = self.volt * (1 + self._gain) + self._offset if self.volt else 0.0
        emf = max(0.0, emf) if self.volt >= 0 else emf
        if self.remote and self._setup.sense_fault != "ok" and self.volt > 0:
            await self._run_away(emf)
            return
        leads = 0.0 if self.remote else 2 * self._setup.lead_ohm
        self._drive(emf_v=emf, resistance_ohm=_OUTPUT_OHM + leads, clamp_a=self.limit, connected=True)
        self._settled_ns = self._clock.now_ns() + round(SETTLE_S * 1e9)

    async def clear_protection(self) -> None:
        """The output returns to the state it had before the trip (N6900/N7900 guide, p. 251, sister family)."""
        if self.tripped:
            self.tripped = 0
            await self.apply()

    def watchdog_expired(self) -> None:
        """Into protection, with the turn-off mode's impedance as in the sister family; whether an N6781A sinks then is in no page read."""
        self.tripped |= PROT
        if self.off_mode != "LOWZ" or not self._connected:
            self._disconnect()
            return
        self._drive(emf_v=0.0, resistance_ohm=_SINK_OHM, clamp_a=self._model.most_a, connected=True)
        self._settled_ns = self._clock.now_ns() + round(WATCHDOG_SINK_S * 1e9)
        self._background(self._open_relays(self._settled_ns), "relays")

    def poll(self) -> None:
        """Notice what the current limit has been doing since the last command."""
        since = self._node.clamped_since() if self.on else None
        if since is not None and self.trip_on_limit and self._clock.now_ns() - since >= round(self.delay_s * 1e9):
            self._trip(OC)

    def questionable(self) -> int:
        return self.tripped | (LIMIT if self.on and self._node.clamped_since() is not None else 0)

    def operation(self) -> int:
        if not self.on:
            return OFF
        return CC if self._node.clamped_since() is not None else CV

    async def _run_away(self, emf: float) -> None:
        ohm = _OUTPUT_OHM + 2 * self._setup.lead_ohm
        steps = _RAMP_STEPS if self._setup.sense_fault == "open" else 1
        most = self.protection + (0.0 if self._setup.sense_fault == "open" else _LOCAL_ABOVE_V)
        for step in range(1, steps + 1):
            level = emf + (most - emf) * step / steps
            self._drive(emf_v=level, resistance_ohm=ohm, clamp_a=self.limit, connected=True)
            await self._sleep(_RAMP_STEP_S if steps > 1 else 20e-6)
            if not self.on:
                return
        self._trip(OV)

    def _trip(self, bit: int) -> None:
        self.tripped |= bit
        self._disconnect()

    def _disconnect(self) -> None:
        self._drive(emf_v=0.0, resistance_ohm=_OUTPUT_OHM, clamp_a=self._model.most_a, connected=False)

    def _drive(self, *, emf_v: float, resistance_ohm: float, clamp_a: float, connected: bool) -> None:
        self._connected = connected
        self._node.drive(emf_v=emf_v, resistance_ohm=resistance_ohm, clamp_a=clamp_a, connected=connected)

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep_until(self._clock.now_ns() + round(seconds * 1e9))
