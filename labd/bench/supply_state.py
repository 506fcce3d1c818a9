"""What keeps the supply from feeding the board, in the same words wherever a capture tells of it."""

from __future__ import annotations

from labd.bench.station import Station


async def supply_state(station: Station) -> str | None:
    """A clause that stands first in an error: the supply explains what the board did, not the other way round. None where the source says
    that it feeds the board. Raises InstrumentFailure."""
    lock = station.interlock
    trip = await lock.tripped()
    return None if trip is None else fallen(station.source.spec.name, trip, unfed_s=lock.unfed_s(), watchdog_s=lock.watchdog_s)


def fallen(source: str, trip: str, *, unfed_s: float, watchdog_s: float | None) -> str:
    """unfed_s: longest time for which labd has not served the source's watchdog; watchdog_s: what that allows, None where there is none."""
    if "watchdog" not in trip:
        return f"the supply failed: {source} says that its {trip} is active"
    if watchdog_s is None or unfed_s <= watchdog_s:
        return f"the supply was off: {source} says that its {trip} is active"
    return (
        f"the supply was off: {source}'s watchdog tripped because labd did not serve it for {unfed_s:.2g} s, it allows {watchdog_s:g} s "
        "(a busy host?)"
    )
