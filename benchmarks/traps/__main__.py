"""Springs every trap of every persona and prints what found it. Ends non-zero when one is missed, or when an instrument without a trap is
not measured as it should be."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from labd_instruments.errors import InstrumentError
from labd_virtual.wire import Interface
from tests.instruments.asked import ask, found_by, right, set_up, traps, wired, with_personas


def main() -> int:
    arguments = argparse.ArgumentParser(prog="traps", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="over the first interface of each only")
    quick = arguments.parse_args().quick
    began_s = time.monotonic()
    sound, found, missed = 0, 0, 0
    for driver in with_personas():
        for interface in wired(driver).interfaces[: 1 if quick else None]:
            complaint = asyncio.run(_complaint(driver, interface))
            print(f"{driver} over {interface}: {complaint or 'measured as it should be'}")
            sound += not complaint
            missed += bool(complaint)
            for trap, sentence in traps(driver).items():
                told = asyncio.run(found_by(driver, trap, interface=interface))
                print(f"{driver} over {interface}: {trap} ({sentence}): {told or 'MISSED'}")
                found += bool(told)
                missed += not told
    verdict = "ok" if not missed else f"{missed} missed"
    print(f"traps: {time.monotonic() - began_s:.0f} s; {found} found, {sound} specimens without a trap measured; {verdict}")
    return int(missed > 0)


async def _complaint(driver: str, interface: Interface) -> str:
    how = wired(driver)
    try:
        async with set_up(driver, interface=interface) as made:
            answers = await ask(made, how)
    except InstrumentError as error:
        return f"{type(error).__name__}: {error}"
    return "" if right(answers, how) and not answers.flagged else f"{answers}, where {how.load_a:g} A flow"


if __name__ == "__main__":
    sys.exit(main())
