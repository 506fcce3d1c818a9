"""The sourcing side of the 2450 family: voltage source with current limit, range clamp, over-voltage limit and output-off states."""

from __future__ import annotations

import numpy as np

from labd_virtual.front_end import row_for
from labd_virtual.instruments.keithley_2450_members import Member
from labd_virtual.persona import PersonaSetup

RANGE_CLAMP = 1.05  # a fixed measure range limits the output current to 105 % of itself
RESET_LIMIT = 1.05e-4
SETTLE_S = 2e-3
_OUTPUT_OHM = 5e-3  # assumed


class Source:
    """Voltage source only.

    Remote sense counts only while the output is on ("2461-901-01" p. 2-97 ff.: an off output is sensed at two wires). With open or swapped
    sense leads the regulator drives the output up to the over-voltage limit, which holds the voltage there and does not switch off.
    """

    def __init__(self, setup: PersonaSetup, member: Member) -> None:
        self._setup, self._node, self.member = setup, setup.node, member
        self._gain = self._offset = 0.0
        self.settled_ns = 0
        self.reset()

    def redraw(self, rng: np.random.Generator) -> None:
        """Programming error, drawn from the limits of the measuring range of the same size."""
        row = row_for(self._setup.accuracy, "voltage", 20.0)
        self._gain, self._offset = row.gain * rng.uniform(-1, 1), row.offset * rng.uniform(-1, 1)

    def reset(self) -> None:
        self.volt, self.limit, self.protection = 0.0, RESET_LIMIT, "NONE"
        self.range, self.auto_range, self.read_back = self.member.voltage_ranges[0], True, True
        self.off_state, self.on = "NORM", False
        self.measure_range: float | None = None
        self.remote = False
        self._disconnect()

    def clamp_a(self) -> float:
        """The limit, further reduced by a fixed measure range (2461-901-01 p. 9-14)."""
        return self.limit if self.measure_range is None else min(self.limit, RANGE_CLAMP * self.measure_range)

    def ceiling_v(self) -> float:
        """Where the over-voltage limit holds the output, or without one the most it has: no page says that a source range holds it too."""
        return self.member.voltage_most if self.protection == "NONE" else float(self.protection.removeprefix("PROT"))

    def adjust(self) -> bool:
        """Bring the limit to where range and boundary want it, as the real instrument does by itself ("2470-901-01" p. 12-78); True when
        it moved, of which there is no more than a warning."""
        before = self.limit
        if self.measure_range is not None:
            share = 1.05 if self._setup.trap == "raises" else self.member.least_limit
            self.limit = max(self.limit, share * self.measure_range)
        if not self.auto_range:
            self.limit = min(self.limit, self.member.limit_at(self.range))
        return self.limit != before

    def runs_away(self) -> bool:
        return self.on and self.remote and self._setup.sense_fault != "ok" and self.volt > 0

    def switch(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        self.on = on
        self.apply()

    def apply(self) -> None:
        """Bring the present settings to the terminals."""
        self.settled_ns = self._setup.clock.now_ns() + round(SETTLE_S * 1e9)
        if self.auto_range:
            self.range = self.member.reaching(abs(self.volt))
        if not self.on:
            self._rest()
            return
        ideal = self.volt * (1 + self._gain) + self._offset if self.volt else 0.0
        emf = self.ceiling_v() if self.runs_away() else min(max(ideal, 0.0), self.ceiling_v())
        leads = 0.0 if self.remote and not self.runs_away() else 2 * self._setup.lead_ohm
        self._node.drive(emf_v=emf, resistance_ohm=_OUTPUT_OHM + leads, clamp_a=self.clamp_a(), connected=True)

    @property
    def connected(self) -> bool:
        """Whether the output relay is closed; an open one takes the meter away from the board as well."""
        return self.on or self.off_state not in ("HIMP", "GUAR")

    def limiting(self) -> bool:
        return self.on and self._node.clamped_since() is not None

    def protecting(self) -> bool:
        """Is the over-voltage limit what holds the output?"""
        return self.on and self.protection != "NONE" and (self.runs_away() or self.volt > self.ceiling_v())

    def _rest(self) -> None:
        """Output-off states, 2461-901-01 p. 2-97: NORMal is a 0 V source with a limit of 10 % of range, ZERO keeps the limit."""
        if self.off_state in ("HIMP", "GUAR"):
            self._disconnect()
            return
        clamp = self.limit if self.off_state == "ZERO" else 0.1 * (self.measure_range or 1.0)
        ohm = _OUTPUT_OHM + 2 * self._setup.lead_ohm
        self._node.drive(emf_v=0.0, resistance_ohm=ohm, clamp_a=clamp, connected=True)

    def _disconnect(self) -> None:
        self._node.drive(emf_v=0.0, resistance_ohm=_OUTPUT_OHM, clamp_a=self.member.limit_most, connected=False)
