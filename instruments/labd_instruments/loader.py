"""Finds drivers by their file name and opens them: a file in `drivers/` is its own registration."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import labd_instruments.drivers
from labd_instruments import options as driver_options
from labd_instruments.accuracy import AccuracyRow
from labd_instruments.checks import HOST_CLOCK, Clock
from labd_instruments.contract import Evidence, Instrument, OffAssurance
from labd_instruments.errors import OutOfRangeError
from labd_instruments.links import visa
from labd_instruments.links.link import Link
from labd_instruments.links.recorder import RecorderLink
from labd_instruments.options import OptionInfo


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """What a driver module says of itself. capabilities: names of the contract's Protocols; roles: what it may be on a bench.

    off_assurance, sees_output_when_off: as in the contract, known without opening the instrument. needs_no_wires: no instrument is behind
    it, so that it stands on a real and on a virtual bench alike. identifies: how the answers to `*IDN?` of its instruments begin, a regular
    expression. usb: vendor and product of instruments on a serial port. on_the_wire: interfaces over which it was tried with its virtual
    instrument; against_a_double: those over which only its link was tried, with the library below replaced. update_s: of a power analyzer,
    the time between updates that a cross-check asks for.
    """

    name: str
    title: str
    capabilities: tuple[str, ...]
    roles: tuple[str, ...]
    evidence: Evidence
    options: tuple[OptionInfo, ...]
    off_assurance: OffAssurance = OffAssurance.NONE
    sees_output_when_off: bool = False
    needs_no_wires: bool = False
    identifies: str = ""
    usb: tuple[tuple[int, int], ...] = ()
    on_the_wire: tuple[str, ...] = ()
    against_a_double: tuple[str, ...] = ()
    update_s: float = 0.0


def available() -> list[DriverInfo]:
    """Every driver there is, by name."""
    return [info(name) for name in _names()]


def info(driver: str) -> DriverInfo:
    """What one driver says of itself. Raises OutOfRangeError when there is none of that name."""
    module = _module(driver)
    over_visa, over_serial = hasattr(module, "open_link"), hasattr(module, "open_serial")
    return DriverInfo(
        name=driver,
        title=(module.__doc__ or "").splitlines()[0],
        capabilities=module.CAPABILITIES,
        roles=module.ROLES,
        evidence=module.EVIDENCE,
        options=driver_options.describe(module.Options),
        off_assurance=module.OFF_ASSURANCE,
        sees_output_when_off=getattr(module, "SEES_OUTPUT_WHEN_OFF", False),  # only a source's driver says it
        needs_no_wires=getattr(module, "NEEDS_NO_WIRES", False),
        identifies=getattr(module, "IDENTIFIES", ""),
        usb=getattr(module, "USB", ()),
        on_the_wire=getattr(module, "ON_THE_WIRE", visa.ON_THE_WIRE if over_visa else ("serial port",) if over_serial else ()),
        against_a_double=visa.AGAINST_A_DOUBLE if over_visa else (),
        update_s=getattr(module, "UPDATE_S", 0.0),  # only a power analyzer's driver says it
    )


def open_driver(
    driver: str,
    name: str,
    resource: str,
    options: Mapping[str, object],
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
    record: Path | None = None,
) -> Instrument:
    """Open a driver by its file name.

    name: of the instrument on its bench, used in messages. declared: accuracy rows of the bench file; they override the driver's.
    link: instead of opening `resource`. clock: where elapsed time comes from (a virtual bench in stepped time has its own).
    record: a file for all that passes over the link, as `links.scripted` plays it.
    Raises OutOfRangeError (no such driver, bad option, a link that cannot be recorded), NotConnectedError, LinkTimeoutError,
    WrongInstrumentError.
    """
    module = _module(driver)
    read = driver_options.read(module.Options, options, name)
    if record is not None and not getattr(module, "NEEDS_NO_WIRES", False):
        if not hasattr(module, "open_link"):
            raise OutOfRangeError(f"{name}: what passes between labd and a {driver} is bytes and no lines; it cannot be recorded")
        title = f"{driver} at {resource}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, options {dict(options)}"
        link = RecorderLink(link or module.open_link(resource, read.timeout_s), record, title=title)
    opened: Instrument = module.open(name, resource, read, declared, link=link, clock=clock)
    return opened


def check_options(driver: str, name: str, options: Mapping[str, object]) -> None:
    """Whether a driver would take these options. Raises OutOfRangeError naming the one that is wrong and what would be right."""
    driver_options.read(_module(driver).Options, options, name)


def needs_leave(driver: str) -> bool:
    """Whether so little stands behind a driver's commands that a bench has to allow it by name. Raises OutOfRangeError (no such driver)."""
    module = _module(driver)
    return module.EVIDENCE is Evidence.EXPERIMENTAL and bool(getattr(module, "NEEDS_LEAVE", False))


def panic_off(driver: str, resource: str, *, timeout_s: float = 2.0) -> None:
    """Switch off by a session of its own, whatever other sessions are stuck in. Raises OutputNotOffError.

    timeout_s: of each exchange.
    """
    _module(driver).panic_off(resource, timeout_s=timeout_s)


def prepare(driver: str) -> None:
    """Load everything that `panic_off` needs, so that it costs no time when it matters. Raises OutOfRangeError (no such driver)."""
    _module(driver)
    visa.warm_up()


def _names() -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(labd_instruments.drivers.__path__) if not m.name.startswith("_"))


def _module(driver: str) -> ModuleType:
    if driver not in _names():
        raise OutOfRangeError(f"there is no driver {driver}, there are {', '.join(_names())}")
    return importlib.import_module(f"labd_instruments.drivers.{driver}")
