"""The digital port of an N6705C: the pin that fires the DUT, the one on which the DUT marks an event, and a marker out.

Letters name the documents listed in `_n6705c`.
"""

from __future__ import annotations

from labd_instruments.drivers._n6705c import Mainframe, Options
from labd_instruments.errors import OutOfRangeError


def check(name: str, options: Options) -> None:
    """Raises OutOfRangeError for a pin with two uses."""
    used = {"fire_pin": options.fire_pin, "trigger_pin": options.trigger_pin, "mark_pin": options.mark_pin}
    for option, pin in used.items():
        others = [other for other, same in used.items() if other != option and pin is not None and same == pin]
        if others:
            raise OutOfRangeError(f"{name}: options {option} and {others[0]} are both {pin}")


def prepare(box: Mainframe) -> None:
    """What a reset has made plain inputs of. Raises RefusedError, ReadBackError."""
    options = box.options
    if options.fire_pin is not None:
        _function(box, options.fire_pin, "TOUT", options.fire_polarity)
    if options.trigger_pin is not None:
        _function(box, options.trigger_pin, "TINP", options.trigger_polarity)
    if options.mark_pin is not None:
        box.link.write("DIG:OUTP:DATA 0")  # [V] before the pin becomes an output, so that it begins low
        _function(box, options.mark_pin, "DIO", "POS")


def mark(box: Mainframe, *, high: bool) -> None:
    """Raises OutOfRangeError, RefusedError, ReadBackError."""
    pin = box.options.mark_pin
    if pin is None:
        raise OutOfRangeError(f"{box.name}: a marker out needs option mark_pin")
    data = 1 << (pin - 1) if high else 0  # bit 0 is pin 1; of pins with another function the bit says nothing
    box.link.write(f"DIG:OUTP:DATA {data}")  # [V]
    box.check_errors("its marker")
    box.same_word("the marker", "DIG:OUTP:DATA?", str(data))


def _function(box: Mainframe, pin: int, function: str, polarity: str) -> None:
    box.set_word(f"DIG:PIN{pin}:FUNC", function, f"the function of pin {pin}")  # [A p154, p222]
    box.set_word(f"DIG:PIN{pin}:POL", polarity, f"the polarity of pin {pin}")  # [A p154, p222]
