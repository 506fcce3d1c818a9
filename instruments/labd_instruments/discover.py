"""Which instruments are there: those that announce themselves on the network, those VISA lists, and those a person names.

Instruments are asked `*IDN?` and nothing else. Serial ports are listed and not opened: opening one resets many a board.
mDNS service types: LXI Device Specification 2022, rule 10.4.3.
"""

from __future__ import annotations

import re
import socket
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyvisa
from serial.tools import list_ports
from zeroconf import IPVersion, ServiceBrowser, ServiceListener, Zeroconf

from labd_instruments import loader
from labd_instruments.errors import InstrumentError, OutOfRangeError
from labd_instruments.links.visa import open_link

SERVICES = {
    "_hislip._tcp.local.": "TCPIP::{host}::hislip0,{port}::INSTR",
    "_scpi-raw._tcp.local.": "TCPIP::{host}::{port}::SOCKET",
    "_vxi-11._tcp.local.": "TCPIP::{host}::inst0::INSTR",
}
# ports that are tried at an address which a person names: HiSLIP (IVI-6.1), SCPI raw (Keysight, Keithley, R&S), the port mapper of VXI-11
TRIED = {4880: "TCPIP::{host}::hislip0::INSTR", 5025: "TCPIP::{host}::5025::SOCKET", 111: "TCPIP::{host}::inst0::INSTR"}
KINDS = ("TCPIP", "USB", "GPIB")  # of what VISA lists; others open a serial port
ANNOUNCED_S = 2.0  # answers to a question come within 1.3 s (RFC 6762, 6 and 5.2)
CONNECT_S = 0.5
ASK_S = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instrument may be, and how that is known."""

    resource: str
    known_by: str


@dataclass(frozen=True, slots=True)
class Found:
    """What answered at a place. drivers: those that drive such an instrument. problem: instead of an identity."""

    resource: str
    known_by: str
    identity: str = ""
    drivers: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port. usb: vendor and product, both 0 where it is no USB device. drivers: for which it may be the instrument itself."""

    device: str
    description: str
    usb: tuple[int, int] = (0, 0)
    serial_number: str = ""
    drivers: tuple[str, ...] = ()


def places(hosts: Sequence[str] = (), *, wait_s: float = ANNOUNCED_S, interfaces: Sequence[str] = ()) -> list[Place]:
    """Each once, in an order that stays. hosts: names or addresses to try besides, `HOST` or `HOST:PORT`. interfaces: addresses of this
    machine to listen at, all where none is given. Blocks for some seconds. Raises OutOfRangeError for what is no address."""
    found: dict[str, Place] = {}
    for place in (*_named(hosts), *_announced(wait_s, interfaces), *_listed()):
        found.setdefault(_plain(place.resource), place)
    return list(found.values())


def ask(place: Place, *, timeout_s: float = ASK_S) -> Found:
    """Open, ask who it is, close. What goes wrong is part of the answer."""
    try:
        link = open_link(place.resource, timeout_s)
    except InstrumentError as error:
        return Found(place.resource, place.known_by, problem=str(error))
    try:
        return Found(place.resource, place.known_by, link.identity, drivers_for(link.identity))
    finally:
        link.close()


def drivers_for(identity: str) -> tuple[str, ...]:
    """Drivers of labd for what has answered so to `*IDN?`."""
    return tuple(one.name for one in loader.available() if one.identifies and re.match(one.identifies, identity, re.IGNORECASE))


def ports() -> list[Port]:
    by_usb = {usb: one.name for one in loader.available() for usb in one.usb}
    found: list[Port] = []
    for port in sorted(list_ports.comports(), key=lambda one: str(one.device)):
        usb = (port.vid or 0, port.pid or 0)
        drivers = (by_usb[usb],) if usb in by_usb else ()
        found.append(Port(port.device, port.description or "", usb, port.serial_number or "", drivers))
    return found


def _named(hosts: Sequence[str]) -> Iterator[Place]:
    for name, port, resource in [one for host in hosts for one in _tries(host)]:
        try:
            socket.create_connection((name, port), CONNECT_S).close()
        except OSError:
            continue
        yield Place(resource.format(host=name), f"{name} takes connections at port {port}")


def _tries(host: str) -> list[tuple[str, int, str]]:
    """Host, port and resource of each place that may be meant. Raises OutOfRangeError."""
    name, _, written = host.rpartition(":")
    with_port = host.count(":") == 1  # an IPv6 address has several
    name = name if with_port else host
    try:
        name.encode("idna")
        ports = [int(written)] if with_port else list(TRIED)
    except ValueError:
        ports = []
    if not name or not ports or not all(0 < port < 65536 for port in ports):
        raise OutOfRangeError(f"{host!r} is no address; expected one such as 192.168.1.5, smu.local or 192.168.1.5:5025")
    return [(name, port, TRIED.get(port, f"TCPIP::{{host}}::{port}::SOCKET")) for port in ports]


def _announced(wait_s: float, interfaces: Sequence[str]) -> list[Place]:
    heard = _Heard()
    try:
        network = Zeroconf(interfaces=list(interfaces)) if interfaces else Zeroconf(ip_version=IPVersion.V4Only)
    except OSError:  # no network to listen at
        return []
    try:
        browser = ServiceBrowser(network, list(SERVICES), heard)
        time.sleep(wait_s)
        browser.cancel()
        return sorted(heard.places(network), key=lambda place: place.resource)
    finally:
        network.close()


class _Heard(ServiceListener):
    """Called from zeroconf's thread."""

    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        del zc
        self.names.append((type_, name))

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None: ...

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None: ...

    def places(self, network: Zeroconf) -> Iterator[Place]:
        for kind, name in list(self.names):
            info = network.get_service_info(kind, name, timeout=1000)
            for host in info.parsed_addresses(IPVersion.V4Only) if info is not None else ():
                assert info is not None
                told = name.removesuffix(f".{kind}")
                yield Place(SERVICES[kind].format(host=host, port=info.port), f"mDNS ({kind.partition('.')[0]}): {told}")


def _listed() -> Iterator[Place]:
    """USB and GPIB where their packages are installed; VXI-11 by a broadcast to port mappers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that are not installed: `labd doctor` names them
        resources = pyvisa.ResourceManager("@py").list_resources("?*")
    for resource in sorted(resources):
        if resource.startswith(KINDS):
            yield Place(resource, "VISA")


def _plain(resource: str) -> str:
    """The same instrument is written in several ways."""
    return resource.upper().replace("TCPIP0::", "TCPIP::").replace("HISLIP0,4880", "HISLIP0")
