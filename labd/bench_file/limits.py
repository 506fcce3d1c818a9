"""The `[limits]` table: what the board may ever see, whatever a plan or a command asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from labd.bench_file.text import amperes, seconds, volts
from labd.config.section import Section, Wrong
from labd.config.types import Amperes, Seconds, Volts, Watts


class LimitsSection(Section):
    """Volts, amperes, watts and seconds; nothing can widen them."""

    voltage: Volts = Field(description="largest voltage at the board's supply terminals")
    open_lead_voltage: Volts | None = Field(
        default=None,
        description="what the board may get should a sense lead be open or open while it is fed: 4-wire sense is refused on a source that "
        "nothing holds at this or less. Left out, it is `voltage`; above the board's absolute maximum, that it breaks then is accepted",
    )
    current: Amperes = Field(
        description="largest steady current: the source's current limit, which switches off after `inrush_time` where the source can"
    )
    power: Watts = Field(description="largest steady power")
    inrush: Amperes = Field(description="current limit while the supply ramps up")
    inrush_time: Seconds = Field(
        description="longest ramp (the time of its commands comes on top), and how long `current` may be reached afterwards"
    )
    on_time: Seconds = Field(description="the supply is switched off after this long, whatever runs")
    off_voltage: Volts = Field(description="off means: below this voltage at the board ...")
    off_time: Seconds = Field(description="... within this time after switching off, else `not discharged` is reported")
    off_mode: Literal["sinking", "floating"] = Field(
        default="sinking", description="what the source does when off: sink the board's charge, or float"
    )

    @property
    def steady_current(self) -> float:
        """The smaller of `current` and `power / voltage`, in ampere: what the source is limited to."""
        return min(self.current, self.power / self.voltage)

    def wrong(self) -> Iterator[Wrong]:
        if self.open_lead_voltage is not None and self.open_lead_voltage < self.voltage:
            yield Wrong(
                "open_lead_voltage", f"expected at least limits.voltage, {volts(self.voltage)}, got {volts(self.open_lead_voltage)}"
            )
        if self.inrush < self.current:
            yield Wrong("inrush", f"expected at least limits.current, {amperes(self.current)}, got {amperes(self.inrush)}")
        if self.off_voltage >= self.voltage:
            yield Wrong("off_voltage", f"expected less than limits.voltage, {volts(self.voltage)}, got {volts(self.off_voltage)}")
        if self.inrush_time >= self.on_time:
            yield Wrong("inrush_time", f"expected less than limits.on_time, got {seconds(self.inrush_time)}")
