"""What the parts of the DMM6500 and DMM7510 driver share: options, ranges, and settings that are read back as they are written.

Where a string comes from: [N p. x] Model DMM6500 Reference Manual, DMM6500-901-01 Rev. A (April 2018), section 13 unless another is given,
by published notes of its pages; [7510 p. x] Model DMM7510 Reference Manual, DMM7510-901-01 Rev. B (May 2015); [P] pymeasure's driver of the
DMM6500; [Q] QCoDeS' drivers of the DMM6500 and DMM7510; [E] published scripts of users that digitize with a DMM6500 or DMM7510;
[M] published bench notes on a DMM6500 of firmware 1.7.17a; [S] the 2461's manual (same tree); [-] no page was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from labd_instruments import scpi
from labd_instruments.checks import same, within
from labd_instruments.errors import OutOfRangeError, ReadBackError
from labd_instruments.links.link import Link
from labd_instruments.options import option

CURRENT_RANGES_A = (10e-6, 100e-6, 1e-3, 10e-3, 0.1, 1.0, 3.0, 10.0)  # [N p. 13-115], 10 A at the rear terminals only
FRONT_MOST_A = 3.0
TERMINALS = {"front": "FRON", "rear": "REAR"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    model: str = option("DMM6500", "which of the two it is", choices=("DMM6500", "DMM7510"))
    terminals: str = option("rear", "terminals the DUT is wired to: where the TERMINALS switch must stand", choices=("front", "rear"))
    fire_output: bool = option(False, "EXTERNAL TRIGGER OUT is wired to the DUT's trigger input (TTL: mind its level)")
    fire_polarity: str = option("POS", "pulse of EXTERNAL TRIGGER OUT, high (POS) or low (NEG)", choices=("POS", "NEG"))
    trigger_input: bool = option(False, "the DUT marks an event on EXTERNAL TRIGGER IN, which starts captures that do not fire the DUT")
    trigger_edge: str = option("RIS", "edge of EXTERNAL TRIGGER IN", choices=("RIS", "FALL", "EITH"))
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


class Dmm:
    """One instrument as the parts of its driver see it."""

    def __init__(self, name: str, link: Link, options: Options) -> None:
        self.name = name
        self.link = link
        self.options = options

    def what(self, quantity: str) -> str:
        return f"{self.name}: {quantity}"

    def check_errors(self, doing: str) -> None:
        scpi.raise_errors(scpi.error_queue(self.link, ":SYST:ERR?"), self.name, doing)  # [N p. 13-164]

    def ask(self, query: str, what: str) -> str:
        """One reply. Raises RefusedError when the instrument refuses the query instead of answering."""
        with scpi.explained(self.link, self.name, what, ":SYST:ERR?"):
            return self.link.query(query)

    def number(self, query: str, what: str) -> float:
        return scpi.value(self.ask(query, what), self.what(what))

    def put(self, header: str, value: float, what: str, *, apart: float = 1e-6) -> float:
        """Write a number and read it back. apart: fraction by which the two may differ. Raises ReadBackError."""
        self.link.write(f"{header} {scpi.number(value)}")
        return self.still(header, value, what, apart=apart)

    def still(self, header: str, value: float, what: str, *, apart: float = 1e-6) -> float:
        """What a number reads back as. Raises ReadBackError when that is not what it was set to."""
        return same(self.what(what), value, self.number(f"{header}?", what), tolerance=apart * abs(value))

    def put_word(self, header: str, word: str, what: str) -> None:
        """Write a word in its short form and read it back in either form. Raises ReadBackError."""
        self.link.write(f"{header} {word}")
        self.is_word(f"{header}?", word, what)

    def is_word(self, query: str, word: str, what: str) -> None:
        got = scpi.unquoted(self.ask(query, what)).upper()
        if not got.startswith(word):
            raise ReadBackError(f"{self.what(what)} was set to {word} and reads back {got}")

    def switched_off(self, header: str, what: str) -> None:
        """Write OFF and read it back. Raises ReadBackError."""
        self.link.write(f"{header} OFF")
        if scpi.booleans(self.ask(f"{header}?", what), self.what(what))[0]:
            raise ReadBackError(f"{self.what(what)} was switched off and reads back on")

    @property
    def current_ranges_a(self) -> tuple[float, ...]:
        """Of the terminals in use."""
        return tuple(r for r in CURRENT_RANGES_A if self.options.terminals != "front" or r <= FRONT_MOST_A)

    def put_range(self, root: str, full_scale_a: float | None) -> float:
        """Fix the lowest current range that holds `full_scale_a` and read it back.

        Raises OutOfRangeError for seamless ranging and beyond the largest range of these terminals, ReadBackError.
        """
        if full_scale_a is None:
            raise OutOfRangeError(f"{self.name}: seamless ranging is asked for, a {self.options.model} has fixed ranges only")
        most = self.current_ranges_a[-1]
        limit = f"{self.options.terminals} terminals"
        within(self.what("current range"), full_scale_a, low=0.0, high=most, unit="A", limit=limit)
        chosen = next(r for r in CURRENT_RANGES_A if r >= full_scale_a * (1 - 1e-9))
        return self.put(f"{root}:RANG", chosen, "the current range")  # [P, Q, E]
