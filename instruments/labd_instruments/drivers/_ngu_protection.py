"""What protects the DUT inside an NGU or NGM200: over-voltage, current limit, electronic fuse, over-power, each read back.

Letters name the sources listed in `_ngu`.
"""

from __future__ import annotations

from labd_instruments import scpi
from labd_instruments.checks import within
from labd_instruments.contract import ProtectionLevels
from labd_instruments.drivers._ngu import Box

CONSTANT_CURRENT, OVER_TEMPERATURE, OVP, FUSE = 1, 16, 512, 1024  # questionable bits 0, 4, 9, 10 [G 166]
LONGEST_FUSE_DELAY_S = 10.0


def program(box: Box, levels: ProtectionLevels) -> ProtectionLevels:
    """What reads back. Raises OutOfRangeError, RefusedError, ReadBackError.

    `open_lead_v` is None: no page at hand says whether the over-voltage protection looks at the terminals or at the sense leads.
    """
    volt, watt, link = levels.voltage_v, box.options.power_limit_w, box.link
    if volt is not None:
        high = box.model.limits.voltage_v
        within(f"{box.name}: over-voltage protection", volt, low=0.0, high=high, unit="V", limit=box.model.name)
    within(f"{box.name}: fuse delay", levels.current_delay_s, low=0.0, high=LONGEST_FUSE_DELAY_S, unit="s", limit="the driver's own")
    box.within_current(levels.current_a, at_v=0.0)
    box.select()
    box.within_current(levels.current_a, at_v=box.number("VOLT?", "the voltage"))
    if volt is not None:
        link.write(f"VOLT:PROT:LEV {scpi.number(volt)}")  # [R]; R&S' own example does so on the sister family NGP
    link.write(f"VOLT:PROT {int(volt is not None)}")  # as above
    link.write(f"CURR {scpi.number(levels.current_a)}")  # [E]
    if box.model.smu:
        link.write(f"CURR:NEG {scpi.number(-levels.current_a)}")  # [F]
    if levels.current_trip:
        link.write(f"CURR:PROT:DEL {scpi.number(levels.current_delay_s)}")  # [R]
    link.write(f"FUSE {int(levels.current_trip)}")  # [R]
    if watt is not None:
        link.write(f"POW:PROT:LEV {scpi.number(watt)}")  # as VOLT:PROT:LEV
    link.write(f"POW:PROT {int(watt is not None)}")
    box.check_errors("its protection levels")
    return _read_back(box, levels)


def _read_back(box: Box, wanted: ProtectionLevels) -> ProtectionLevels:
    amps, watt = wanted.current_a, box.options.power_limit_w
    near_a = 1e-3 * amps + 0.1 * box.model.least_current_a
    volt, delay_s = None, 0.0
    box.same_state("over-voltage protection", "VOLT:PROT?", wanted=wanted.voltage_v is not None)
    if wanted.voltage_v is not None:
        volt = box.same("over-voltage protection", "VOLT:PROT:LEV?", wanted.voltage_v, tolerance=0.01)
    current = box.same("current limit", "CURR?", amps, tolerance=near_a)
    if box.model.smu:
        box.same("current limit when sinking", "CURR:NEG?", -amps, tolerance=near_a)
    box.same_state("the electronic fuse", "FUSE?", wanted=wanted.current_trip)
    if wanted.current_trip:
        delay_s = box.same("the fuse's delay", "CURR:PROT:DEL?", wanted.current_delay_s, tolerance=1e-3)
    box.same_state("over-power protection", "POW:PROT?", wanted=watt is not None)
    if watt is not None:
        box.same("over-power protection", "POW:PROT:LEV?", watt, tolerance=0.01)
    return ProtectionLevels(volt, current, wanted.current_trip, delay_s)


def clear(box: Box) -> None:
    """Forget the trips of the selected channel."""
    for protection in ("VOLT:PROT", "POW:PROT", "FUSE:TRIP"):
        box.link.write(f"{protection}:CLE")  # [R]


def limits(box: Box) -> bool:
    """The current limit is active now."""
    return bool(_questionable(box) & CONSTANT_CURRENT)


def trips(box: Box) -> list[str]:
    """The protections that hold the output off, in words."""
    box.select()
    bits = _questionable(box)
    states = (
        (bits & OVP or box.state("VOLT:PROT:TRIP?", "over-voltage protection"), "over-voltage protection"),  # [R]
        (bits & FUSE or box.state("FUSE:TRIP?", "the electronic fuse"), "electronic fuse"),  # [R]
        (box.state("POW:PROT:TRIP?", "over-power protection"), "over-power protection"),  # [R]
        (bits & OVER_TEMPERATURE, "over-temperature"),
    )
    return [words for state, words in states if state]


def _questionable(box: Box) -> int:
    return box.bits(f"STAT:QUES:INST:ISUM{box.options.channel}:COND?", "the questionable status")  # [R]
