"""Steady readings of an instrument: waiting for the next one, and what a sink takes of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labd.bench.rig import Rig
from labd.bench.station import Tool
from labd.errors import InstrumentFailure
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition, Measures, Reading

POLL_S = 0.002
MISSED_READINGS = 20  # without a new one: the instrument does not update, or what tells its updates does not
LINK_S = 2.0  # one exchange, where the bench file sets no timeout_s: the default of every driver


async def next_reading(rig: Rig, meter: Tool, driver: Measures, acquisition: Acquisition, *, look_s: float = POLL_S) -> Reading:
    """The next steady reading, waiting for the instrument's update. Raises InstrumentFailure where none comes, by the clock of drivers."""
    every_s = max(acquisition.aperture_s, acquisition.dt_ns * 1e-9)
    patience = Patience(rig, meter, every_s)
    while (reading := await meter.call(driver.read_mean)) is None:
        if await patience.over():
            raise InstrumentFailure(
                f"{meter.spec.name}: no new reading in {patience.allowed_s:.3g} s, one is due every {every_s:.3g} s: it is held or does "
                "not update, or its driver sees no update, because its readings stay the same or its options name another sign of one"
            )
        await rig.station.clock.sleep(look_s)
    return reading


class Patience:
    """How long an instrument is waited for that has something to give every so often: by the clock of drivers, which a stepped bench has
    too, and in their thread, because a virtual bench is asked for it. It begins where something did not come at once."""

    def __init__(self, rig: Rig, meter: Tool, every_s: float) -> None:
        self.allowed_s = MISSED_READINGS * every_s + float(str(meter.spec.options.get("timeout_s", LINK_S)))
        self._meter = meter
        self._now_s = rig.station.clock.for_drivers.now_s
        self._began_s: float | None = None

    async def over(self) -> bool:
        now_s = await self._meter.call(self._now_s)
        if self._began_s is None:
            self._began_s = now_s
        return now_s - self._began_s > self.allowed_s


def of_power(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """The readings themselves where each has a power of its own, which its columns do not hold."""
    return tuple(readings) if all(reading.power_w is not None for reading in readings) else ()


def as_block(readings: Sequence[Reading], acquisition: Acquisition) -> Block:
    return Block(
        seq=0,
        t0_ns=0,
        dt_ns=acquisition.dt_ns,
        current=np.array([r.current_a for r in readings], np.float32),
        voltage=np.array([r.voltage_v for r in readings], np.float32) if "voltage" in acquisition.columns else None,
    )
