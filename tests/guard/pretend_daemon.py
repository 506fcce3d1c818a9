"""A process that does what the daemon does with the guard: arms it, switches an output on, beats; and then something happens to it.

Arguments: the guard's socket, a JSON armament, how it behaves (`beat`, `block`, `stuck`, `disarm`, `unverified`, `watchdog`,
`follow`). Prints `on` once the output is on, `lost` when the guard is, and `end: ...` when its body has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path

from labd.errors import LabdError, OutputNotVerifiedOff
from labd.guard.link import GuardLink
from labd.guard.wire import Armament, read_armament
from labd.stream.session import InstrumentSession
from labd_instruments import loader
from labd_instruments.contract import GuardsItself, Instrument, ProtectionLevels, Sources

SUPPLY_V = 3.0
WATCHDOG_S = 1.0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tell_lost(alive: bool, _text: str) -> None:
    if not alive:
        say("lost")


def switched_on(armament: Armament) -> Instrument:
    one = armament.sources[0]
    driver = loader.open_driver(one.driver, one.name, one.resource, one.options)
    assert isinstance(driver, Sources)
    driver.reset()
    driver.set_off_mode(True)
    driver.set_remote_sense(True)
    driver.protect(ProtectionLevels(5.0, 0.15))
    driver.set_voltage(SUPPLY_V)
    driver.set_output(True)
    return driver


async def fail_when_off(session: InstrumentSession, driver: Instrument) -> None:
    assert isinstance(driver, Sources)
    while await session.call(driver.output_is_on, deadline_s=10.0):  # noqa: ASYNC110  an instrument tells nobody
        await asyncio.sleep(0.01)
    raise LabdError("the output is off")


async def main(socket: str, armament: Armament, behaviour: str) -> None:
    async with GuardLink(Path(socket), on_change=tell_lost) as link, InstrumentSession("smu") as session:
        try:
            async with link.armed(armament, beyond_help=lambda: behaviour == "stuck" and began.is_set()):
                driver = await session.call(switched_on, armament, deadline_s=10.0)
                began.set()
                if behaviour == "watchdog":
                    assert isinstance(driver, GuardsItself)
                    await session.call(driver.set_watchdog, WATCHDOG_S, deadline_s=10.0)
                say("on")
                if behaviour == "block":
                    time.sleep(600)  # noqa: ASYNC251  the hang that this is about
                if behaviour == "unverified":
                    raise OutputNotVerifiedOff("the output reads back on")
                if behaviour == "watchdog":
                    assert isinstance(driver, GuardsItself)
                    while True:
                        await session.call(driver.feed_watchdog, deadline_s=10.0)
                        await asyncio.sleep(WATCHDOG_S / 3)
                if behaviour == "follow":
                    await fail_when_off(session, driver)
                if behaviour == "disarm":
                    driver.make_safe()
                else:
                    await asyncio.sleep(600)
            say("end: disarmed")
        except LabdError as error:
            say(f"end: {error}")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(600)


began = asyncio.Event()
if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], read_armament(json.loads(sys.argv[2])), sys.argv[3]))
