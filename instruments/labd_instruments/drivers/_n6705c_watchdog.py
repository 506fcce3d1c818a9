"""The mainframe's own watchdog: without SCPI traffic for a while it puts every output into protection [C p158].

Any SCPI I/O on a remote interface resets it. The output is disabled while its programmed state stays on, so it is switched off before
the protection is cleared. Whether an N6781A sinks the DUT's charge when it trips is in no page at hand.
"""

from __future__ import annotations

from labd_instruments import scpi
from labd_instruments.checks import within
from labd_instruments.drivers._n6705c import Mainframe
from labd_instruments.errors import OutOfRangeError, ReadBackError

RANGE_S = (1.0, 3600.0)  # [C p158] in steps of 1 s


def switch(box: Mainframe, delay_s: float | None) -> None:
    """None: off. Raises OutOfRangeError, RefusedError, ReadBackError."""
    if delay_s is not None:
        within(f"{box.name}: watchdog", delay_s, low=RANGE_S[0], high=RANGE_S[1], unit="s", limit="[C p158]")
        if delay_s != round(delay_s):
            raise OutOfRangeError(f"{box.name}: watchdog of {delay_s:g} s, the mainframe takes whole seconds")
        box.link.write(f"OUTP:PROT:WDOG:DEL {delay_s:.0f}")  # [C p158]
    box.link.write(f"OUTP:PROT:WDOG {'OFF' if delay_s is None else 'ON'}")  # [C p158]
    box.check_errors("its watchdog")
    on = scpi.booleans(box.link.query("OUTP:PROT:WDOG?"), f"{box.name}: the watchdog")[0]
    if on != (delay_s is not None):
        raise ReadBackError(f"{box.name}: the watchdog was switched {'off' if delay_s is None else 'on'} and reads back the opposite")
    if delay_s is not None:
        held = scpi.value(box.link.query("OUTP:PROT:WDOG:DEL?"), f"{box.name}: the watchdog's delay")
        if held != delay_s:
            raise ReadBackError(f"{box.name}: the watchdog's delay was set to {delay_s:g} s and reads back {held:g} s")


def clear(box: Mainframe, channels: str) -> None:
    """Off, then a trip of before is forgotten: clearing brings back the programmed output state, which has to be off by then."""
    box.link.write("OUTP:PROT:WDOG OFF")  # [C p158]
    box.link.write(f"OUTP OFF,{channels}")  # [C]
    box.link.write(f"OUTP:PROT:CLE {channels}")  # [C p158]
