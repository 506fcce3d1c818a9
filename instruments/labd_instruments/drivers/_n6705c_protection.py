"""What keeps the DUT safe on an N6705C: protection levels, the source range that holds them, and which protection has tripped.

Letters name the documents listed in `_n6705c`.
"""

from __future__ import annotations

from labd_instruments import scpi
from labd_instruments.checks import same, within
from labd_instruments.contract import ProtectionLevels
from labd_instruments.drivers._n6705c import DISCONNECTS, QUESTIONABLE, RANGE_SLACK, Mainframe, at
from labd_instruments.drivers._n6705c_models import SourceRange
from labd_instruments.errors import OutOfRangeError, ReadBackError

STARTS_NOTHING_V = 0.2  # with less than this no board starts: the output may be switched off and on again
LOCAL_ABOVE_V = 1.5  # [D p39] the protection at the terminals trips this far above the level of the one at the sense leads
DELAY_LONGEST_S = 0.255  # [V] [L] 0 to 0.255 s


def _named(bits: int) -> str:
    return ", ".join(words for bit, words in QUESTIONABLE.items() if bits & bit)


class Protection:
    """Levels and trips of the feeding channel."""

    def __init__(self, box: Mainframe) -> None:
        self._box = box
        self._range: SourceRange | None = None

    def forget(self) -> None:
        """After a reset the source range is that of the highest voltage [L]."""
        self._range = None

    def program(self, levels: ProtectionLevels) -> ProtectionLevels:
        box, module = self._box, self._box.module
        if levels.voltage_v is not None:
            limit = f"{module.name}, [C p304]"
            within(f"{box.name}: over-voltage protection", levels.voltage_v, low=0.0, high=module.protection_v, unit="V", limit=limit)
        within(f"{box.name}: current limit", levels.current_a, low=0.0, high=module.limits.current_a, unit="A", limit=module.name)
        within(f"{box.name}: over-current delay", levels.current_delay_s, low=0.0, high=DELAY_LONGEST_S, unit="s", limit=module.name)
        wanted, again = self._range_for(levels)
        if again:
            self._switch(on=False)
        if levels.voltage_v is not None:
            # an N678xA senses over-voltage at the sense terminals [U p126]
            box.link.write(f"VOLT:PROT:REM {scpi.number(levels.voltage_v)},{box.main}")  # [C p304] [L]
        box.link.write(f"CURR:LIM:COUP ON,{box.main}")  # [R p460] else CURR:LIM is the limit of what is sourced, not of what is sunk
        self._limit(levels.current_a, wanted)
        box.link.write(f"OUTP:PROT:DEL {scpi.number(levels.current_delay_s)},{box.main}")  # [V]
        box.link.write(f"CURR:PROT:STAT {'ON' if levels.current_trip else 'OFF'},{box.main}")  # [L]
        box.check_errors("its protection levels")
        held = self._read_back(levels)
        if again:
            self._switch(on=True)
        return held

    def _switch(self, *, on: bool) -> None:
        """Raises RefusedError, ReadBackError."""
        self._box.set_word("OUTP", "ON" if on else "OFF", "its output state", self._box.main)  # [C]

    def _range_for(self, levels: ProtectionLevels) -> tuple[SourceRange, bool]:
        """The source range for these levels, and whether the output has to be off for it and on again behind it.

        A range changes with the output off only. It is on at 0.1 V after the test of the sense leads, whose level says nothing of the
        supply to come; above that, OutOfRangeError where the present range does not hold them.
        """
        box, present = self._box, self._present()
        wanted = box.module.range_for(levels.voltage_v, levels.current_a)
        if wanted == present or not scpi.booleans(box.link.query(f"OUTP? {box.main}"), "the output state")[0]:
            return wanted, False
        if levels.current_a <= present.ampere and wanted.volt <= present.volt:
            return present, False
        if box.number("VOLT?", "the voltage") <= STARTS_NOTHING_V:
            return wanted, True
        raise OutOfRangeError(
            f"{box.name}: a current limit of {levels.current_a:g} A needs the source range of {wanted.volt:g} V; it is that of "
            f"{present.volt:g} V, and changes with the output off only"
        )

    def _present(self) -> SourceRange:
        return self._range or self._box.module.sources[-1]

    def _limit(self, ampere: float, wanted: SourceRange) -> None:
        """Limit and range in one message, where they are taken as a set [O p227]; in an order that fits either way."""
        box, present = self._box, self._present()
        limit = f"CURR:LIM {scpi.number(ampere)},{box.main}"  # [L]
        if wanted == present:
            box.link.write(limit)
            return
        source = f"VOLT:RANG {scpi.number(wanted.volt)},{box.main}"  # [L]
        box.link.write(";:".join((source, limit) if wanted.ampere > present.ampere else (limit, source)))
        box.check_errors("its source range")
        self._range = wanted
        box.same("source range", "VOLT:RANG?", wanted.volt, RANGE_SLACK * wanted.volt)

    def _read_back(self, wanted: ProtectionLevels) -> ProtectionLevels:
        box = self._box
        voltage = None
        if wanted.voltage_v is not None:
            voltage = box.same("over-voltage protection", "VOLT:PROT:REM?", wanted.voltage_v, 0.01)
        box.same_word("the coupling of its current limits", f"CURR:LIM:COUP? {box.main}", "ON")  # [R]
        tolerance_a = 1e-3 * wanted.current_a + 1e-5
        current = box.same("current limit", "CURR:LIM?", wanted.current_a, tolerance_a)
        sunk = abs(box.number("CURR:LIM:NEG?", "negative current limit"))  # [R] which sign it has is in no page at hand
        same(f"{box.name}: negative current limit", wanted.current_a, sunk, tolerance=tolerance_a)
        delay = box.same("over-current delay", "OUTP:PROT:DEL?", wanted.current_delay_s, 1e-3)
        trips = scpi.booleans(box.link.query(f"CURR:PROT:STAT? {box.main}"), "over-current protection")[0]
        if trips != wanted.current_trip:
            raise ReadBackError(f"{box.name}: over-current protection was set to {wanted.current_trip} and reads back {trips}")
        # [D p39] an open lead leaves protection resistors that sense locally, 1 % above; wrong ones leave the protection at the terminals
        swapped = None if voltage is None else voltage + LOCAL_ABOVE_V
        return ProtectionLevels(voltage, current, trips, delay, open_lead_v=voltage, swapped_leads_v=swapped)

    def check_voltage(self, volt: float) -> None:
        """Raises OutOfRangeError for a voltage that the module has not, or has not at the present current limit."""
        box, module = self._box, self._box.module
        within(f"{box.name}: voltage", volt, low=0.0, high=module.limits.voltage_v, unit="V", limit=module.name)
        lowest, most = module.sources[0], module.most_a(volt)
        within(f"{box.name}: voltage", volt, low=0.0, high=self._present().volt, unit="V", limit="the source range for this current limit")
        if volt > lowest.volt:
            limit = box.number("CURR:LIM?", "current limit")
            what = f"{box.name}: current limit above {lowest.volt:g} V"
            within(what, limit, low=0.0, high=most, unit="A", limit=f"{module.name} at {volt:g} V, N6700 User's Guide p122")

    def require_clear(self, channels: tuple[int, ...]) -> None:
        """After OUTPut:PROTection:CLEar. Raises ReadBackError naming what keeps an output off all the same."""
        reply = self._box.ask(f"STAT:QUES:COND? {at(*channels)}", "the questionable status")  # [O p350]
        for channel, bits in zip(channels, scpi.integers(reply, f"{self._box.name}: the questionable status"), strict=True):
            if bits & DISCONNECTS:
                raise ReadBackError(f"{self._box.name}: channel {channel} stays off after its protection was cleared: {_named(bits)}")

    def disconnected(self) -> bool:
        return bool(self._questionable() & DISCONNECTS)

    def tripped(self) -> str | None:
        return _named(self._questionable()) or None

    def _questionable(self) -> int:
        reply = self._box.link.query(f"STAT:QUES:COND? {self._box.main}")  # [O p350]
        return scpi.integers(reply, f"{self._box.name}: the questionable status")[0]
