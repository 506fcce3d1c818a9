"""Listens: binds its socket first, so that what is wrong with an address is told by name, and stops at its place in the stop order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from labd.errors import FileError, LabdError

BACKLOG = 128
STOP_S = 3  # for answers under way; WebSockets are closed at once
LONGEST_MESSAGE = 1 << 16  # that a client may send over a WebSocket


class CannotListen(LabdError):
    """The address is taken, or not this machine's."""

    exit_code = 10


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files."""

    certificate: Path
    key: Path


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises CannotListen."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        end = socket.socket(found[0], found[1])
        try:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            end.bind(found[4])
            end.listen(BACKLOG)
        except BaseException:
            end.close()
            raise
    except OSError as error:
        why = {
            errno.EADDRINUSE: "another program listens there; give another port (server.port, --port), or ask `ss -ltnp` which one it is",
            errno.EADDRNOTAVAIL: "this machine has no such address",
            errno.EACCES: "ports below 1024 are for the system's own services",
        }.get(error.errno or 0, error.strerror or str(error))
        raise CannotListen(f"cannot listen on {host} port {port}: {why}") from error
    return end


def check_tls(tls: Tls) -> None:
    """Raises FileError for files that are missing, or do not belong together."""
    for path in (tls.certificate, tls.key):
        if not path.is_file():
            raise FileError(str(path), "", "is no file; server.tls_certificate and server.tls_key name PEM files")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)
    except (ssl.SSLError, OSError) as error:
        raise FileError(str(tls.certificate), "", f"is no certificate that fits the key {tls.key}: {error}") from error


def from_here(url: str) -> str:
    """The address of this machine by which a server that listens on all of them is reached."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


class _Server(uvicorn.Server):
    """Signals are the daemon's; `ready` is set when it takes connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: ASGIApp, end: socket.socket, tls: Tls | None = None) -> AsyncIterator[str]:
    """Serve on a bound socket for the length of the `async with`; yields the base URL. On the way out no new connection is taken, answers
    under way have STOP_S, and WebSockets are closed."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
        ws_max_size=LONGEST_MESSAGE,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[end]), name="http")
    host, port = end.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    try:
        ready = asyncio.ensure_future(server.ready.wait())
        await asyncio.wait((ready, task), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if task.done():
            raise CannotListen(f"the HTTP server on {shown} port {port} did not start")
        yield f"{'https' if tls else 'http'}://{shown}:{port}/"
    finally:
        server.should_exit = True
        await asyncio.wait((task,), timeout=2 * STOP_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        end.close()
