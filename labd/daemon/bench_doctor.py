"""What `labd doctor` says of one bench file: what it names is there and may be used."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from labd import host
from labd.api.server import Tls, check_tls
from labd.bench.finding import Finding
from labd.bench_file import Bench
from labd.daemon.guarding import sockets_of
from labd.daemon.opened import load_bench, sole_use
from labd.errors import LabdError
from labd.guard.link import GuardLink
from labd.store.lock import BenchBusy
from labd_instruments import loader
from labd_instruments.contract import OffAssurance

REACH_S = 2.0
LAN = re.compile(r"^TCPIP\d*::(?P<host>[^:]+)(?:::(?:(?P<socket>\d+)::SOCKET|(?P<hislip>hislip\d*(?:,(?P<port>\d+))?)|.*))?", re.IGNORECASE)
VXI11_PORT, HISLIP_PORT = 111, 4880


def bench_findings(path: Path, store: Path) -> Iterator[Finding]:
    try:
        bench = load_bench(path)
    except LabdError as error:
        for problem in getattr(error, "problems", ()) or (str(error),):
            yield Finding("bench file", False, problem)
        return
    yield Finding("bench file", True, f"{path}: {bench.name}, {'virtual' if bench.is_virtual else 'real'}")
    try:
        with sole_use(bench, store):
            yield from _instruments(bench)
    except BenchBusy as busy:
        yield Finding("instruments", None, f"not looked for: {busy}")
    for name, link in bench.links.items():
        if link.port:
            yield port_finding(f"links.{name}", link.port)
        if link.address:
            host, _, port = link.address.rpartition(":")
            yield reached(f"links.{name}", host.strip("[]"), int(port))
    yield from _assurance(bench)
    yield from _guard(bench)
    yield from _server(bench)


def _instruments(bench: Bench) -> Iterator[Finding]:
    """Whether something listens; nothing is sent to it."""
    for name, section in bench.instruments.items():
        place = lan_place(section.resource or "")
        if place is not None:
            yield reached(name, *place)


def lan_place(resource: str) -> tuple[str, int] | None:
    """Host and port of a VISA resource on a network, None for any other; `hislip0,4881` names its port itself (VPP-4.3)."""
    place = LAN.match(resource)
    if place is None:
        return None
    return place["host"], int(place["socket"] or place["port"] or (HISLIP_PORT if place["hislip"] else VXI11_PORT))


def reached(what: str, host: str, port: int) -> Finding:
    """Whether somebody takes connections there; nothing is sent."""
    try:
        socket.create_connection((host, port), timeout=REACH_S).close()
    except UnicodeError:  # of the codec for international names, before anybody is asked
        return Finding(what, False, f"{host!r} is no name that a host can have")
    except OSError as error:
        return Finding(what, False, f"{host} port {port} cannot be reached: {error.strerror or error}; is it on, and in this network?")
    return Finding(what, True, f"{host} port {port} takes connections")


def _assurance(bench: Bench) -> Iterator[Finding]:
    for name in bench.with_role("source") if not bench.is_virtual else ():
        driver = bench.instruments[name].driver
        if loader.info(driver).off_assurance is OffAssurance.NONE and not bench.guard.attended:
            yield Finding(name, None, f"{driver}: switching off while a read hangs is not assured; runs need somebody with the bench")


def _guard(bench: Bench) -> Iterator[Finding]:
    if bench.is_virtual:
        yield Finding("guard", True, "none needed, the bench is virtual")
        return
    if not host.HAS_GUARD:
        yield Finding("guard", None, "labd has one on Linux only: attended runs alone are made here (guard.attended)")
        return
    path = next((one for one in sockets_of(bench) if one.exists()), None)
    if path is None:
        yield Finding(
            "guard", None, f"none serves {sockets_of(bench)[0]} now; labd starts one with each run, a service keeps one (labd units)"
        )
        return
    yield tried("guard", lambda: asyncio.run(_guard_status(path)))


async def _guard_status(path: Path) -> str:
    """Raises LabdError for a guard that would die with its daemon."""
    async with GuardLink(path) as link:
        said = await link.status()
    pid = int(said["pid"])
    if shares_a_service(pid, [int(one["pid"]) for one in said["armed"]]):
        raise LabdError(f"process {pid} is in its daemon's control group and would end with it: make it a service of its own (labd units)")
    held = "".join(f"; {one['bench']} is held off: {one['why']}" for one in said["stopped"])
    return f"process {pid} serves {path}, armed: {', '.join(one['bench'] for one in said['armed']) or 'nothing'}{held}"


def shares_a_service(guard: int, clients: list[int]) -> bool:
    """Whether a service manager that ends one of the clients would end the guard with it."""
    here = _control_group(guard)
    return here.endswith(".service") and any(_control_group(client) == here for client in clients)


def _control_group(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").strip().rpartition("::")[2]
    except OSError:
        return ""


def _server(bench: Bench) -> Iterator[Finding]:
    section, folder = bench.server, bench.path.parent
    if section.tokens:
        tokens = folder / section.tokens
        if not tokens.exists():
            yield Finding("tokens", False, f"{tokens}: there is no such file; `labd token NAME --file {tokens}` makes it")
        elif tokens.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Finding("tokens", False, f"{tokens}: others may read it; chmod 600 {tokens}")
        else:
            yield Finding("tokens", True, f"{tokens}: for this user only")
    if section.tls_certificate and section.tls_key:
        tls = Tls(folder / section.tls_certificate, folder / section.tls_key)
        yield tried("TLS", lambda: _checked(tls))
    if bench.mqtt is not None:
        yield reached("mqtt", bench.mqtt.host, bench.mqtt.port)
        name = bench.mqtt.password_env
        if name and name not in os.environ:
            yield Finding("mqtt", False, f"mqtt.password_env: {name} is not set in the environment")


def _checked(tls: Tls) -> str:
    check_tls(tls)
    return f"{tls.certificate} and its key belong together"


def port_finding(what: str, port: str) -> Finding:
    """Whether this user may use a serial port."""
    if not Path(port).exists():
        return Finding(what, False, f"{port}: there is no such port; is the board plugged in?")
    if os.access(port, os.R_OK | os.W_OK):
        return Finding(what, True, f"{port}: may be used")
    return Finding(what, False, f"{port}: may not be used by this user; {way_in(Path(port))}")


def way_in(port: Path) -> str:
    """What lets a user use a port."""
    if sys.platform == "win32":
        return "another program has it open"
    try:
        group = port.group()
    except KeyError:  # as in a container, whose groups are not the machine's
        return f"its group {port.stat().st_gid} has no name on this machine: give it one (groupadd), or the port another group (udev)"
    return f"`sudo usermod -aG {group} $USER`, then log in again"


def tried(what: str, look: Callable[[], str]) -> Finding:
    """What `look` says, or the error that it raises."""
    try:
        return Finding(what, True, look())
    except LabdError as error:
        return Finding(what, False, str(error))
