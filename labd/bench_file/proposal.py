"""A bench file to begin with, from what was found on a bench; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from labd.bench_file.checks import KINDS
from labd.bench_file.instrument import LEADS
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
# open_lead_voltage = "5 V"                       # what it may get should a sense lead open: many sources need it with 4-wire sense
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
LEAVE = """\
# allow_experimental = true                       # CHANGE: take the first # away when you accept that hardly anything stands behind it
"""
SOURCE = """\
sense = "4-wire"                                  # CHANGE: or "2-wire"
lead_resistance = "30 mohm +- 10 mohm"            # CHANGE: each way, between instrument and sense point
source_resistance = "20 mohm +- 20 mohm"          # CHANGE: at the sense point
"""
METER = f"""\
lead_resistance = {LEADS}            # CHANGE: each way, from the end of the sense leads through the meter to the board
"""
ORDER = """\
order = ["{meter}", "{check}"]                    # CHANGE: the meters, from the supply to the board
# shunt = "0.5 ohm"                               # CHANGE: of its current input, where its voltage terminals are on the source's side
# voltmeter = "2 Mohm"                            # CHANGE: of its voltage input, where they are on the board's; both where not known
"""
MISSING = """
# CHANGE: no instrument that can be {roles} was found; add one (labd drivers tells which labd drives)
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
    found: Sequence[Found],
    ports: Sequence[Port],
    roles: Mapping[str, tuple[str, ...]],
    *,
    name: str,
    board: str = "boards/my-board.toml",
    need_leave: Collection[str] = (),
) -> str:
    """A bench file as text. roles: by driver, what it may be. need_leave: drivers that a bench has to allow by name.

    The first instrument that sources feeds the board and is its meter where it can be, whatever was found before it; else the first that
    measures is. A power analyzer confirms it, and what is left is told. An instrument that was found in several ways is taken once, by the
    first of them; one behind a serial port comes after those that answered.
    """
    text = HEAD.format(name=name, board=board)
    first: dict[str, Found] = {}
    for one in (*found, *_behind(ports)):
        if one.drivers:
            first.setdefault(one.identity, one)
    every = list(first.values())
    given = _given([one.drivers[0] for one in every], roles)
    labels = {role: LABELS[mine[0]] for mine in given.values() for role in mine}
    for index, one in enumerate(every):
        driver, mine = one.drivers[0], given.get(index, ())
        if not mine:
            text += f"\n# {one.resource}: {one.identity} ({driver})\n"
            continue
        quoted = ", ".join(f'"{role}"' for role in mine)
        text += INSTRUMENT.format(name=LABELS[mine[0]], identity=one.identity, driver=driver, resource=one.resource, roles=quoted)
        if driver in need_leave:
            text += LEAVE
        if "source" in mine:
            text += SOURCE
        if mine == ("meter",):
            text += METER
        if "cross_check" in mine:
            text += ORDER.format(meter=labels["meter"], check=labels["cross_check"])
    missing = " and ".join(f'"{role}"' for role in ("source", "meter") if role not in labels)
    if missing:
        text += MISSING.format(roles=missing)
    boards = [port for port in ports if not port.drivers]
    others = "".join(f"; also {port.device} ({port.description})" for port in boards[1:])
    return text + LINK.format(port=boards[0].device if boards else "/dev/ttyACM0", others=others)


def _given(drivers: Sequence[str], roles: Mapping[str, tuple[str, ...]]) -> dict[int, tuple[str, ...]]:
    """Roles on the bench, by place in `drivers`: such as a bench file takes."""
    kinds = [roles[driver] for driver in drivers]
    source = next((index for index, can in enumerate(kinds) if "source" in can), None)
    if source is not None and "meter" in kinds[source]:
        given: dict[int, tuple[str, ...]] = {source: ("source", "meter")}
    else:
        measuring = [index for kind in KINDS["meter"] for index, can in enumerate(kinds) if kind in can and "source" not in can]
        given = {} if source is None else {source: ("source",)}
        given |= dict.fromkeys(measuring[:1], ("meter",))
    if any("meter" in mine for mine in given.values()):
        checking = [index for kind in KINDS["cross_check"] for index, can in enumerate(kinds) if kind in can and index not in given]
        given |= dict.fromkeys(checking[:1], ("cross_check",))
    return given


def _behind(ports: Sequence[Port]) -> Iterator[Found]:
    """Instruments at serial ports, which are not opened: what USB tells is their identity. One with two ports is at the first of them."""
    for port in ports:
        if port.drivers:
            yield Found(port.device, "USB", " ".join(filter(None, (port.description, port.serial_number))), port.drivers)
