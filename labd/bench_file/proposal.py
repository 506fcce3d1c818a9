"""A bench file to begin with, from what was found on a bench; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labd_instruments.discover import Found, Port

HEAD = """\
# A bench, proposed by labd from what answered. Change what is marked CHANGE, then: labd check {name}.toml
# Quantities are written with their unit, in quotes; "30 mohm +- 5 mohm" means: certainly within these limits.
schema = 1
name = "{name}"                                   # CHANGE
mains = "50 Hz"                                   # CHANGE: or "60 Hz"
ambient = "23 degC +- 2 K"                        # CHANGE: room temperature while you measure
board = "{board}"                                 # CHANGE: your board file, relative to this one (labd init writes an example)

[limits]                                          # CHANGE: what your board may ever see; nothing can widen them
voltage = "3.6 V"
current = "150 mA"
power = "0.54 W"
inrush = "200 mA"
inrush_time = "5 ms"
on_time = "8 h"
off_voltage = "0.1 V"
off_time = "2 s"
off_mode = "sinking"                              # or "floating"

[floor]
largest_u95 = "20 %"
"""
INSTRUMENT = """
[instruments.{name}]                              # {identity}
driver = "{driver}"
resource = "{resource}"
roles = [{roles}]
"""
SOURCE = """\
sense = "4-wire"                                  # CHANGE: or "2-wire"
lead_resistance = "30 mohm +- 10 mohm"            # CHANGE: each way, between instrument and sense point
source_resistance = "20 mohm +- 20 mohm"          # CHANGE: at the sense point
"""
ORDER = """\
order = ["{meter}", "{check}"]                    # CHANGE: the meters, from the supply to the board
"""
LABELS = {"source": "smu", "meter": "meter", "cross_check": "check"}
LINK = """
[links.uart]                                      # CHANGE: the board's serial port{others}
kind = "serial"
port = "{port}"
baud = 115200
io_level = "3.0 V"                                # CHANGE: high level of your adapter's TX
isolation = "none"                                # none | level_shifter | isolator
tx_idle = "high_z"                                # during captures: high_z | low | driven
"""


def proposed(
    found: Sequence[Found], ports: Sequence[Port], roles: Mapping[str, tuple[str, ...]], *, name: str, board: str = "boards/my-board.toml"
) -> str:
    """A bench file as text. roles: by driver, what it may be.

    The first instrument that sources feeds the board and is its meter where it can be; one more confirms it, and what is left is told. An
    instrument that was found in several ways is taken once, by the first of them.
    """
    text = HEAD.format(name=name, board=board)
    taken: dict[str, str] = {}  # role -> name
    seen: set[str] = set()
    for one in found:
        if not one.drivers or one.identity in seen:
            continue
        seen.add(one.identity)
        given: list[str] = [role for role in ("source", "meter") if role in roles[one.drivers[0]] and role not in taken]
        if not given and "cross_check" not in taken:
            given = ["cross_check"]
        if not given:
            text += f"\n# {one.resource}: {one.identity} ({one.drivers[0]})\n"
            continue
        label = LABELS[given[0]]
        taken |= dict.fromkeys(given, label)
        quoted = ", ".join(f'"{role}"' for role in given)
        text += INSTRUMENT.format(name=label, identity=one.identity, driver=one.drivers[0], resource=one.resource, roles=quoted)
        if "source" in given:
            text += SOURCE
        if "cross_check" in given:
            text += ORDER.format(meter=taken.get("meter", "CHANGE"), check=label)
    boards = [port for port in ports if not port.drivers]
    others = "".join(f"; also {port.device} ({port.description})" for port in boards[1:])
    return text + LINK.format(port=boards[0].device if boards else "/dev/ttyACM0", others=others)
