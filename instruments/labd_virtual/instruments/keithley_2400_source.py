"""The sourcing side of a virtual Keithley 2400: voltage or current source, real and range compliance, output-off states.

Pages are of the "2400 Series SourceMeter User's Manual", 2400S-900-01 Rev. K.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from labd_virtual.front_end import row_for
from labd_virtual.persona import PersonaSetup
from labd_virtual.scpi_errors import ScpiError

OVER = 1.05  # every range reaches 105 % of its name (p. 6-2, 6-20)
LEAST_OF_RANGE = 1e-3  # compliance below 0.1 % of the measure range is refused (p. 18-68)
TOO_SMALL = (822, "Too small for sense range")  # this and the next three: table B-1
BEYOND_COMPLIANCE = (824, "Cannot exceed compliance range")
BEYOND_POWER = (826, "Attempt to exceed power limit")
BLOCKED = (802, "OUTPUT blocked by output enable")
_OUTPUT_OHM = 5e-3  # assumed; the specification has 0.01 % + 1 mV of load regulation (p. 3-4)
_NORMAL_SHARE = 5e-3  # of full scale: the limit in the output-off state NORMal (p. 13-9)


@dataclass(frozen=True, slots=True)
class Model:
    """Ranges in V and A, steps of the over-voltage limit in V (p. 3-12), and the power envelope: above low_v at most low_a (p. 18-62)."""

    volts: tuple[float, ...]
    amps: tuple[float, ...]
    limits_v: tuple[float, ...]
    low_v: float
    low_a: float

    @property
    def most_v(self) -> float:
        return 1.1 * self.volts[-1] if self.volts[-1] == 1000.0 else OVER * self.volts[-1]

    @property
    def most_a(self) -> float:
        return OVER * self.amps[-1]


_MICRO = (1e-6, 1e-5, 1e-4, 1e-3)
MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "2400": Model((0.2, 2.0, 20.0, 200.0), (*_MICRO, 1e-2, 0.1, 1.0), (20, 40, 60, 80, 100, 120, 160), 20.0, 0.1),
        "2410": Model((0.2, 2.0, 20.0, 1000.0), (*_MICRO, 2e-2, 0.1, 1.0), (20, 40, 100, 200, 300, 400, 500), 20.0, 2e-2),
        "2420": Model((0.2, 2.0, 20.0, 60.0), (*_MICRO[1:], 1e-2, 0.1, 1.0, 3.0), (6, 12, 18, 24, 30, 36, 48), 20.0, 1.0),
        "2430": Model((0.2, 2.0, 20.0, 100.0), (*_MICRO[1:], 1e-2, 0.1, 1.0, 3.0), (10, 20, 30, 40, 50, 60, 80), 20.0, 1.0),
        "2440": Model((0.2, 2.0, 10.0, 40.0), (*_MICRO[1:], 1e-2, 0.1, 1.0, 5.0), (4, 8, 12, 16, 20, 24, 32), 10.0, 1.0),
    }
)


def reaching(ranges: tuple[float, ...], value: float) -> float:
    """The most sensitive range that holds `value`, of which every range takes 105 %."""
    return next((r for r in ranges if abs(value) <= OVER * r * (1 + 1e-9)), ranges[-1])


class Source:
    """function: VOLT or CURR. level, range, auto: of each. limit: compliance of the quantity that is not sourced, by that quantity.

    measure_range: the fixed current range, None while it is automatic: range compliance cannot occur then (p. 6-2).
    """

    def __init__(self, setup: PersonaSetup, model: Model) -> None:
        self._setup, self._node, self.model = setup, setup.node, model
        self._gain = self._offset = 0.0
        self.reset()

    def redraw(self, rng: np.random.Generator) -> None:
        row = row_for(self._setup.accuracy, "voltage", 20.0)
        self._gain, self._offset = row.gain * rng.uniform(-1, 1), row.offset * rng.uniform(-1, 1)

    def reset(self) -> None:
        self.function, self.on, self.off_state, self.remote = "VOLT", False, "NORM", False
        self.level = {"VOLT": 0.0, "CURR": 0.0}
        self.range = {"VOLT": reaching(self.model.volts, 21.0), "CURR": 1e-4}
        self.auto = {"VOLT": True, "CURR": True}
        self.limit = {"VOLT": 21.0, "CURR": 1.05e-4}
        self.protection = self.model.most_v
        self.auto_off = self._setup.trap == "auto_off"
        self.measure_range: float | None = None
        self.apply()

    def set_level(self, function: str, value: float) -> None:
        """Raises ScpiError(-221) for a level beyond a fixed range (p. 18-78)."""
        if not self.auto[function] and abs(value) > OVER * self.range[function] * (1 + 1e-9):
            raise ScpiError(-221)
        self.level[function] = value
        if self.auto[function]:
            self.range[function] = reaching(self._ranges(function), value)
        self.apply()

    def set_range(self, function: str, value: float) -> None:
        chosen = reaching(self._ranges(function), value)
        if abs(self.level[function]) > OVER * chosen * (1 + 1e-9):
            raise ScpiError(-221)
        if function == "VOLT" and chosen > self.model.low_v and self.limit["CURR"] > OVER * self.model.low_a * (1 + 1e-9):
            raise ScpiError(*BEYOND_POWER)
        self.range[function], self.auto[function] = chosen, False
        self.apply()

    def set_limit(self, function: str, value: float, measure_range: float) -> None:
        """Compliance; its sign does not matter. Raises ScpiError 822 below 0.1 % of the measure range, 826 beyond the power envelope."""
        if abs(value) < LEAST_OF_RANGE * measure_range * (1 - 1e-9):
            raise ScpiError(*TOO_SMALL)
        if function == "CURR" and self.range["VOLT"] > self.model.low_v and abs(value) > OVER * self.model.low_a * (1 + 1e-9):
            raise ScpiError(*BEYOND_POWER)
        self.limit[function] = abs(value)
        self.apply()

    def set_protection(self, value: float) -> None:
        """A value between two steps takes the lower one, one below the lowest takes that (p. 18-81)."""
        steps = [*self.model.limits_v, self.model.most_v]
        if abs(value) > self.model.limits_v[-1]:
            self.protection = self.model.most_v
        else:
            self.protection = float(max((s for s in steps if s <= abs(value)), default=steps[0]))
        self.apply()

    def switch(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        """Raises ScpiError(802) when the output enable line forbids it."""
        if on and self._setup.trap == "interlock":
            raise ScpiError(*BLOCKED)
        self.on = on
        self.apply()

    def clamp_a(self) -> float:
        """Real or range compliance, whichever is lower (p. 6-2)."""
        fixed = self.limit["CURR"] if self.measure_range is None else OVER * self.measure_range
        return min(self.limit["CURR"], fixed)

    def range_compliance(self) -> bool:
        return self.measure_range is not None and OVER * self.measure_range < self.limit["CURR"]

    def limiting(self) -> bool:
        return self.on and self._node.clamped_since() is not None

    def protecting(self) -> bool:
        return self.on and (self._runs_away() or abs(self.level["VOLT"]) > self.protection)

    def apply(self) -> None:
        """Bring the present settings to the terminals."""
        leads = 0.0 if self.remote and not self._runs_away() else 2 * self._setup.lead_ohm
        if not self.on:
            self._rest(_OUTPUT_OHM + 2 * self._setup.lead_ohm)
        elif self.function == "CURR":
            emf = min(self.limit["VOLT"], self.protection)
            self._node.drive(emf_v=emf, resistance_ohm=_OUTPUT_OHM + leads, clamp_a=abs(self.level["CURR"]), connected=True)
        else:
            level = self.level["VOLT"]
            ideal = level * (1 + self._gain) + self._offset if level else 0.0
            emf = min(self.protection, OVER * self.range["VOLT"]) if self._runs_away() else min(ideal, self.protection)
            self._node.drive(emf_v=emf, resistance_ohm=_OUTPUT_OHM + leads, clamp_a=self.clamp_a(), connected=True)

    def _ranges(self, function: str) -> tuple[float, ...]:
        return self.model.volts if function == "VOLT" else self.model.amps

    def _runs_away(self) -> bool:
        """With open or swapped sense leads the regulator drives the output up to the over-voltage limit."""
        return self.on and self.remote and self.function == "VOLT" and self._setup.sense_fault != "ok" and self.level["VOLT"] > 0

    def _rest(self, ohm: float) -> None:
        """p. 13-9, 13-10: NORMal is 0 V with a low limit, ZERO keeps the limit, HIMPedance opens the relay, GUARd sources no current."""
        full_scale = self.measure_range or self.model.amps[-1]
        clamp = self.limit["CURR"] if self.off_state == "ZERO" else _NORMAL_SHARE * full_scale
        self._node.drive(emf_v=0.0, resistance_ohm=ohm, clamp_a=clamp, connected=self.off_state in ("NORM", "ZERO"))
