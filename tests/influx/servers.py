"""Real servers on free ports: InfluxDB 1.x and VictoriaMetrics, as Debian packages them; stopped, killed and started again on their data.

LABD_TEST_INFLUX_URL, LABD_TEST_INFLUX_TOKEN, LABD_TEST_INFLUX_BUCKET and, for 2.x, LABD_TEST_INFLUX_ORG name an InfluxDB 2.x or 3 that is
there and is tried too (docs/how-to/influxdb.md).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

PATHS = "/usr/bin:/usr/sbin:/usr/local/bin"
INFLUXD = shutil.which("influxd", path=PATHS)
VICTORIA = shutil.which("victoria-metrics", path=PATHS)
SOON_S = 60.0
OTHER = "LABD_TEST_INFLUX_"

needs_influxd = pytest.mark.skipif(INFLUXD is None, reason="influxd is not installed")
needs_victoria = pytest.mark.skipif(VICTORIA is None, reason="victoria-metrics is not installed")


@dataclass(slots=True)
class Running:
    """A server that keeps its port and its data over `kill` and `start`."""

    command: list[str]
    port: int
    ping: str
    process: subprocess.Popen[bytes] | None = None
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=SOON_S))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end_s = time.monotonic() + SOON_S
        while time.monotonic() < end_s:
            try:
                if self.http.get(self.url + self.ping).status_code < 300:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise AssertionError(f"{self.command[0]} did not start")

    def kill(self) -> None:
        """kill -9."""
        self.stop(signal.SIGKILL)

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=SOON_S)
            self.process = None


class Asked(Protocol):
    """A server that answers InfluxQL. given: what an `[influx]` table says of it beside its URL."""

    @property
    def url(self) -> str: ...

    @property
    def given(self) -> dict[str, Any]: ...

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Rows of one statement, tags that it was grouped by among them, times in ns. Raises AssertionError for an answer that says so."""


@dataclass(slots=True)
class Influxd(Running):
    """user: who asks, where the server wants one."""

    user: httpx.Auth = field(default_factory=httpx.Auth)

    @property
    def given(self) -> dict[str, Any]:
        return {}

    def ask(self, query: str, database: str = "labd") -> list[dict[str, Any]]:
        """See `Asked`."""
        given = {"db": database, "q": query, "epoch": "ns"}
        return _rows(query, self.http.post(f"{self.url}/query", data=given, auth=self.user).json())

    def write(self, lines: str, database: str = "labd") -> None:
        answer = self.http.post(f"{self.url}/write", params={"db": database, "precision": "ns"}, content=lines.encode(), auth=self.user)
        assert answer.status_code == 204, answer.text


@dataclass(frozen=True, slots=True)
class Other:
    """An InfluxDB 2.x or 3 that somebody runs; what it holds already stays in it."""

    url: str
    bucket: str
    organisation: str

    @property
    def given(self) -> dict[str, Any]:
        organisation = {"organisation": self.organisation} if self.organisation else {}
        return {"api": "v2", "database": self.bucket, "token_env": f"{OTHER}TOKEN", **organisation}

    def ask(self, query: str) -> list[dict[str, Any]]:
        """See `Asked`; a table that is not there yet has no rows (InfluxDB 3 answers so with an error)."""
        given = {"db": self.bucket, "q": query, "epoch": "ns"}
        head = {"Authorization": f"Token {os.environ[f'{OTHER}TOKEN']}"}
        answer = httpx.get(f"{self.url}/query", params=given, headers=head, timeout=SOON_S, trust_env=False)
        return [] if "not found" in answer.text else _rows(query, answer.json())


def others() -> list[Other]:
    """The one that the environment names, or none."""
    url = os.environ.get(f"{OTHER}URL", "").rstrip("/")
    return [Other(url, os.environ[f"{OTHER}BUCKET"], os.environ.get(f"{OTHER}ORG", ""))] if url else []


def _rows(query: str, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    assert "error" not in answer, answer
    (result,) = answer["results"]
    assert "error" not in result, (query, result["error"])
    return [
        {**one.get("tags", {}), **dict(zip(one["columns"], values, strict=True))}
        for one in result.get("series", [])
        for values in one.get("values", [])
    ]


@contextmanager
def influxd(folder: Path, *, auth: bool = False, largest_body: int = 25_000_000) -> Iterator[Influxd]:
    """With a database `labd`; auth: with the users `admin`/`secret`, `writer`/`secret` and `reader`/`secret`, who may write and read it."""
    assert INFLUXD is not None
    folder.mkdir(parents=True, exist_ok=True)
    port, rpc = free_ports(2)
    file = folder / "influxdb.conf"
    file.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n[meta]\ndir = "{folder}/meta"\n'
        f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\nindex-version = "tsi1"\n[monitor]\nstore-enabled = false\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\nauth-enabled = {str(auth).lower()}\n'
        f'max-body-size = {largest_body}\n[logging]\nlevel = "error"\n'
    )
    server = Influxd([INFLUXD, "-config", str(file)], port, "/ping")
    server.start()
    try:
        if auth:
            server.ask("CREATE USER admin WITH PASSWORD 'secret' WITH ALL PRIVILEGES", "")
            server.user = httpx.BasicAuth("admin", "secret")
        server.ask("CREATE DATABASE labd", "")
        for name, right in (("writer", "ALL"), ("reader", "READ")) if auth else ():
            server.ask(f"CREATE USER {name} WITH PASSWORD 'secret'", "")
            server.ask(f"GRANT {right} ON labd TO {name}", "")
        yield server
    finally:
        server.kill()
        server.http.close()


@dataclass(slots=True)
class Victoria(Running):
    def export(self, name: str) -> list[dict[str, Any]]:
        """Every series of a metric with all its values, times in ms."""
        answer = self.http.get(f"{self.url}/api/v1/export", params={"match[]": name, "reduce_mem_usage": "1"})
        return [httpx.Response(200, content=line).json() for line in answer.text.splitlines()]


@contextmanager
def victoria(folder: Path) -> Iterator[Victoria]:
    assert VICTORIA is not None
    (port,) = free_ports(1)
    options = ["-retentionPeriod=100y", "-search.latencyOffset=0s", f"-storageDataPath={folder}", f"-httpListenAddr=127.0.0.1:{port}"]
    server = Victoria([VICTORIA, *options], port, "/ping")
    server.start()
    try:
        yield server
    finally:
        server.kill()
        server.http.close()


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
