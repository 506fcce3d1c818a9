"""A device behind a link, identified, as the tests against doubles want it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from labd.dut.device import Device
from labd.dut.dialect import CLASSIC, Dialect
from labd.dut.serial_link import SerialLink
from tests.dut.stock_dut import StockDut

PATIENT_S = 10.0


@asynccontextmanager
async def met(dut: StockDut, dialect: Dialect = CLASSIC) -> AsyncIterator[Device]:
    async with SerialLink(dut.port, dialect=dialect) as link:
        device = Device(link, answer_s=PATIENT_S)
        await device.identify()
        yield device
