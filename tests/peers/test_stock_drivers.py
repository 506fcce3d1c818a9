"""Drivers that others have written for the same instruments set the virtual ones up, let them feed a load, and read it.

Each runs as a program of its own, as its users run it, over a raw socket. What a stock driver sends that the real instrument rejects
is rejected here too.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from tests.instruments.asked import persona, wired
from tests.peers.stock_programs import STOCK
from tests.virtual.persona_fakes import Bench, rows, with_visa

PROGRAM_S = 120.0  # importing one takes seconds
AGREE = 1e-3
QUIET = (
    "import warnings; warnings.simplefilter('ignore'); import json, sys; resource, supply = sys.argv[1], float(sys.argv[2]); said = {}\n"
)
END = "\nprint(json.dumps(said))"


@pytest.mark.parametrize("name", STOCK)
async def test_it_sets_up_feeds_and_reads(name: str) -> None:
    """A meter feeds nothing: the current that flows through it comes from the bench, and it says no voltage."""
    stock = STOCK[name]
    how = wired(stock.driver)
    bench = Bench(load=((0, how.load_a),), volts=how.supply_v)
    tables = how.tables if stock.tables is None else stock.tables
    table = rows({quantity: tuple((full_scale, 0.0, 0.0) for full_scale in ranges) for quantity, ranges in tables.items()})
    options = {**how.options, **stock.options}
    instrument = persona(stock.driver).create(bench.setup(options=options, wires=how.wires, accuracy=table))
    resource = await instrument.serve()
    try:
        said = await _run(QUIET + stock.program + END, resource, str(how.supply_v))
        messages = await with_visa(resource, lambda session: _messages(session, stock.error))
    finally:
        await instrument.close()
    assert said.get("voltage", how.supply_v) == pytest.approx(how.supply_v, rel=AGREE)
    assert said["current"] == pytest.approx(how.load_a, rel=AGREE)
    assert {name: said[name] for name in stock.also} == stock.also
    assert tuple(map(_number, messages)) == stock.wrong, messages


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


def _messages(session: Any, query: str) -> list[str]:
    """Of the instrument's queue, to its end."""
    found: list[str] = []
    while _number(message := session.query(query)) != 0:
        found.append(message)
    return found


def _number(message: str) -> int:
    """SCPI says `-113,"Undefined header"`, TSP a number, a tab and the rest."""
    return int(float(message.replace("\t", ",").split(",")[0]))
