"""Drivers that others have written for the same instruments set the virtual ones up, let them feed a load, and read it.

Each runs as a program of its own, as its users run it, over a raw socket. What a stock driver sends that the real instrument rejects
is rejected here too.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from tests.instruments.asked import persona, wired
from tests.virtual.persona_fakes import Bench, rows, with_visa

PROGRAM_S = 120.0  # importing one takes seconds
AGREE = 1e-3
QUIET = (
    "import warnings; warnings.simplefilter('ignore'); import json, sys; resource, supply = sys.argv[1], float(sys.argv[2]); said = {}\n"
)
END = "\nprint(json.dumps(said))"


@dataclass(frozen=True, slots=True)
class Stock:
    """driver: of labd for the same instrument. program: fills `said` with what it has read. wrong: numbers of the errors that its own
    commands leave in the queue of the real instrument. error: how that is read."""

    driver: str
    program: str
    wrong: tuple[int, ...] = ()
    error: str = "SYST:ERR?"


STOCK = {
    "QCoDeS KeysightN6705B": Stock(
        "keysight_n6705c",
        """
from qcodes.instrument_drivers.Keysight import KeysightN6705B
mainframe = KeysightN6705B("n6705", resource, visalib="@py")
said["model"] = mainframe.get_idn()["model"]
channel = mainframe.ch1
channel.source_voltage(supply)
channel.source_current(0.1)
channel.enable("on")
said["on"] = channel.enable()
said["voltage"], said["current"] = channel.voltage(), channel.current()
channel.enable("off")
mainframe.close()
""",
    ),
    "QCoDeS KeysightN6705B with a limit": Stock(
        "keysight_n6705c",
        """
from qcodes.instrument_drivers.Keysight import KeysightN6705B
mainframe = KeysightN6705B("n6705", resource, visalib="@py")
mainframe.ch1.source_voltage(supply)
mainframe.ch1.voltage_limit(4.0)  # sends `@(1)` where a channel list is `(@1)`
mainframe.ch1.enable("on")
said["voltage"], said["current"] = mainframe.ch1.voltage(), mainframe.ch1.current()
mainframe.close()
""",
        wrong=(-102,),
    ),
}


@pytest.mark.parametrize("name", STOCK)
async def test_it_sets_up_feeds_and_reads(name: str) -> None:
    stock = STOCK[name]
    how = wired(stock.driver)
    bench = Bench(load=((0, how.load_a),), volts=how.supply_v)
    table = rows({quantity: tuple((full_scale, 0.0, 0.0) for full_scale in ranges) for quantity, ranges in how.tables.items()})
    instrument = persona(stock.driver).create(bench.setup(options=how.options, wires=how.wires, accuracy=table))
    resource = await instrument.serve()
    try:
        said = await _run(QUIET + stock.program + END, resource, str(how.supply_v))
        errors = await with_visa(resource, lambda session: _errors(session, stock.error))
    finally:
        await instrument.close()
    assert said.pop("voltage") == pytest.approx(how.supply_v, rel=AGREE)
    assert said.pop("current") == pytest.approx(how.load_a, rel=AGREE)
    assert tuple(errors) == stock.wrong


async def _run(program: str, *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PROGRAM_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()[-2000:]
    said: dict[str, Any] = json.loads(out.splitlines()[-1])
    return said


def _errors(session: Any, query: str) -> list[int]:
    """Of the instrument's queue, to its end."""
    found: list[int] = []
    while (number := int(session.query(query).split(",")[0])) != 0:
        found.append(number)
    return found
