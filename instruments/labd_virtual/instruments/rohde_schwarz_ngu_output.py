"""The sourcing side of an NGU or NGM channel: two switches, limits, protections, and what happens with wrong sense leads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from labd_virtual.front_end import row_for
from labd_virtual.persona import PersonaSetup
from labd_virtual.scpi_errors import ScpiError

# Questionable bits: "R&S NGL200/NGM200 User Manual" 1178.8736.02-06, p. 166. No bit for over-power is on that page.
CC, CV, OTP, OVP, FUSE = 1, 2, 16, 512, 1024
OPP = 1 << 20  # inside this persona only
VISIBLE = 0x7FFF
HIGH_CURRENT_BELOW_V, CURRENT_ABOVE_A = 6.0, 3.0  # an NGM202's, and taken for an NGU
SETTLE_S = 1e-3
_OUTPUT_OHM = 2e-3  # assumed: what regulation leaves over at the sense point


class Output:
    """What one channel does at its terminals. It is on when its own switch and the main one are.

    A trip takes the channel's own switch back (assumed). With remote sense EXT and open or swapped leads the regulator drives the
    terminals up to the over-voltage level, or to its largest voltage when that protection is off.
    """

    def __init__(self, setup: PersonaSetup, *, volts: float, amps: float, feeds: bool, now_ns: Callable[[], int]) -> None:
        self._setup, self._node, self._feeds, self._now_ns = setup, setup.node, feeds, now_ns
        self._volts, self._amps = volts, amps
        self._gain = self._offset = 0.0
        self._main = False
        self.connected = False
        self.reset()

    def redraw(self, rng: np.random.Generator) -> None:
        """Programming error: the limits of the 20 V measuring range, drawn apart from it."""
        row = row_for(self._setup.accuracy, "voltage", 20.0)
        self._gain, self._offset = row.gain * rng.uniform(-1, 1), row.offset * rng.uniform(-1, 1)

    def reset(self) -> None:
        self.selected = False
        self.volt, self.limit, self.negative = 0.0, 0.1, -0.1
        self.ovp_on, self.ovp_v = False, self._volts
        self.opp_on, self.opp_w = False, self._volts * CURRENT_ABOVE_A
        self.fuse_on, self.fuse_delay_s, self.fuse_initial_s = False, 0.01, 0.0
        self.sense, self.fast = "AUTO", False
        self.tripped, self.settled_ns = 0, 0
        self._drive(emf_v=0.0, resistance_ohm=_OUTPUT_OHM, connected=False)

    @property
    def on(self) -> bool:
        return self.selected and self._main

    def switch(self, *, main: bool) -> None:
        """The main switch, or the channel's own, may have moved."""
        was, self._main = self.connected, main
        if self.on != was:
            self.apply()

    def set_volt(self, volt: float) -> None:
        """Raises ScpiError(-221) where the current limit is too high for it."""
        if abs(volt) > HIGH_CURRENT_BELOW_V and self.limit > CURRENT_ABOVE_A:
            raise ScpiError(-221)
        self.volt = volt
        self.apply()

    def set_limit(self, ampere: float) -> None:
        """Raises ScpiError(-222) above what the present voltage allows."""
        if abs(self.volt) > HIGH_CURRENT_BELOW_V and ampere > CURRENT_ABOVE_A:
            raise ScpiError(-222)
        self.limit = ampere
        self.apply()

    def apply(self) -> None:
        """Bring the present settings to the terminals."""
        if not self.on:
            self._drive(emf_v=0.0, resistance_ohm=_OUTPUT_OHM, connected=False)
            return
        if self.ovp_on and abs(self.volt) > self.ovp_v:
            self._trip(OVP)
            return
        emf = self.volt * (1 + self._gain) + self._offset if self.volt else 0.0
        if self.sense == "EXT" and self._setup.sense_fault != "ok" and self.volt:
            self._drive(emf_v=self.ovp_v if self.ovp_on else self._volts, resistance_ohm=_OUTPUT_OHM, connected=True)
            if self.ovp_on:
                self._trip(OVP)
            return
        leads = 0.0 if self.sense == "EXT" else 2 * self._setup.lead_ohm
        self._drive(emf_v=emf, resistance_ohm=_OUTPUT_OHM + leads, connected=True)
        self.settled_ns = self._now_ns() + round(SETTLE_S * 1e9)

    def poll(self) -> None:
        """Notice what current and power have been doing since the last command."""
        if not self.on:
            return
        since = self._node.clamped_since() if self._feeds else None
        if self.fuse_on and since is not None and self._now_ns() - since >= round(self.fuse_delay_s * 1e9):
            self._trip(FUSE)
        elif self.opp_on and self._feeds and self._watts() > self.opp_w:
            self._trip(OPP)

    def clear(self, bit: int) -> None:
        """The output stays off; it has to be switched on again (assumed)."""
        self.tripped &= ~bit

    def questionable(self) -> int:
        if not self.on:
            return self.tripped & VISIBLE
        limiting = self._feeds and self._node.clamped_since() is not None
        return (self.tripped & VISIBLE) | (CC if limiting else CV)

    def _watts(self) -> float:
        now = np.array([self._now_ns()])
        return abs(float(self._node.voltage(now)[0] * self._node.current(now)[0]))

    def _trip(self, bit: int) -> None:
        self.tripped |= bit
        self.selected = False
        self.apply()

    def _drive(self, *, emf_v: float, resistance_ohm: float, connected: bool) -> None:
        self.connected = connected
        if self._feeds:
            self._node.drive(emf_v=emf_v, resistance_ohm=resistance_ohm, clamp_a=min(self.limit, self._amps), connected=connected)
