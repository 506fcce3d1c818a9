"""A real InfluxDB 1.x (Debian's) on free ports with a database `labd`; asked as Grafana asks it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

INFLUXD = shutil.which("influxd", path="/usr/bin:/usr/sbin:/usr/local/bin")
SOON_S = 60.0

needs_influxd = pytest.mark.skipif(INFLUXD is None, reason="influxd is not installed")


@dataclass(frozen=True, slots=True)
class Series:
    """Of an answer: tags that it was grouped by, and its rows by column. `time` in ms, as Grafana asks for it."""

    tags: dict[str, str]
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Influxd:
    http: httpx.Client

    def write(self, lines: str) -> None:
        answer = self.http.post("/write", params={"db": "labd", "precision": "ns"}, content=lines.encode())
        assert answer.status_code == 204, answer.text

    def ask(self, query: str) -> list[Series]:
        """Raises AssertionError for an answer that says `error`."""
        answer = self.http.post("/query", data={"db": "labd", "q": query, "epoch": "ms"}).json()
        (result,) = answer["results"]
        assert "error" not in result, (query, result["error"])
        return [
            Series(one.get("tags", {}), [dict(zip(one["columns"], values, strict=True)) for values in one.get("values", [])])
            for one in result.get("series", [])
        ]


@contextmanager
def influxd(folder: Path) -> Iterator[Influxd]:
    assert INFLUXD is not None
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        port, rpc = one.getsockname()[1], other.getsockname()[1]
    file = folder / "influxdb.conf"
    file.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n[meta]\ndir = "{folder}/meta"\n'
        f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\nindex-version = "tsi1"\n[monitor]\nstore-enabled = false\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n[logging]\nlevel = "error"\n'
    )
    process = subprocess.Popen([INFLUXD, "-config", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=SOON_S) as http:
            found = Influxd(http)
            _wait(http)
            found.ask("CREATE DATABASE labd")
            yield found
    finally:
        process.terminate()
        process.wait(timeout=SOON_S)


def _wait(http: httpx.Client) -> None:
    end_s = time.monotonic() + SOON_S
    while time.monotonic() < end_s:
        try:
            if http.get("/ping").status_code == 204:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError("influxd did not start")
