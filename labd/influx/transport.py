"""Takes ready lines to a server and says what came of them: `/write` of InfluxDB 1.x here, of 2.x and 3 in `transport_v2`."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import urlencode

import httpx

from labd.influx.answers import Answer, Verdict, answer_of

TEXT = "text/plain; charset=utf-8"
PRECISION = "ns"
RESETS = (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError)
SLOW = (httpx.WriteTimeout, httpx.ReadTimeout)
# Whose own words would show a header, and with it a secret.
MALFORMED = Answer(Verdict.SETTINGS, "no request can be made of these settings: is the URL, the database's name or a secret malformed?")


@dataclass(frozen=True, slots=True)
class Server:
    """Where to write, with which secrets. tls: what an https server is checked against, None for the system's."""

    url: str
    database: str
    retention_policy: str = ""
    organisation: str = ""
    username: str = ""
    password: str = ""
    token: str = ""
    tls: ssl.SSLContext | None = None
    timeout_s: float = 10.0

    def __repr__(self) -> str:
        return f"Server({self.url}, {self.database})"  # a log must not show a secret


class Transport(Protocol):
    """An async context manager."""

    async def write(self, body: bytes, *, zipped: bool) -> Answer:
        """Raises nothing: what goes wrong is in the answer."""

    async def query(self, influxql: str) -> list[dict[str, Any]]:
        """Rows of one InfluxQL statement, times in ns. Raises OSError, ValueError for a server that does not answer any."""

    async def __aenter__(self) -> Transport: ...

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class OverHttp:
    """What both have: InfluxQL over `/query`, which 2.x and 3 serve too."""

    def __init__(self, server: Server) -> None:
        self._server = server
        headers = {"Authorization": f"Token {server.token}"} if server.token else {}
        auth = (server.username, server.password) if server.username else None
        self._http = httpx.AsyncClient(
            base_url=server.url, auth=auth, headers=headers, verify=server.tls or True, timeout=server.timeout_s, trust_env=False
        )

    async def query(self, influxql: str) -> list[dict[str, Any]]:
        asked = {"db": self._server.database, "q": influxql, "epoch": "ns"}
        try:
            answer = await self._http.get("/query", params=asked)
        except httpx.HTTPError as error:
            raise OSError(f"{self._server.url}: {words(error)}") from error
        if answer.is_error:
            raise ValueError(f"{self._server.url}: {answer_of(answer.status_code, answer.headers, answer.text).text}")
        return rows(answer.json())


class V1(OverHttp):
    """`/write?db=...`."""

    async def __aenter__(self) -> V1:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.aclose()

    async def write(self, body: bytes, *, zipped: bool) -> Answer:
        asked = {"db": self._server.database, "precision": PRECISION}
        if self._server.retention_policy:
            asked["rp"] = self._server.retention_policy
        headers = {"Content-Type": TEXT} | ({"Content-Encoding": "gzip"} if zipped else {})
        try:
            answer = await self._http.post(f"/write?{urlencode(asked)}", content=body, headers=headers)
        except RESETS as error:
            return cut(error)
        except SLOW:
            return slow(self._server)
        except httpx.LocalProtocolError:
            return MALFORMED
        except httpx.HTTPError as error:
            return Answer(Verdict.AWAY, words(error))
        return answer_of(answer.status_code, answer.headers, answer.text)


def cut(error: Exception) -> Answer:
    return Answer(Verdict.RESET, f"the connection was cut: {words(error)}")


def slow(server: Server) -> Answer:
    """It may have got all of it, and written it later: sent again it overwrites itself."""
    return Answer(Verdict.RESET, f"no answer within {server.timeout_s:g} s")


def words(error: Exception) -> str:
    """Some errors have none."""
    return str(error).strip() or type(error).__name__


def transport_of(api: str, server: Server) -> Transport:
    """api: v1 or v2, as the `[influx]` table says."""
    if api == "v1":
        return V1(server)
    from labd.influx.transport_v2 import V2  # its client takes 30 MB, which a daemon without it need not carry

    return V2(server)


def rows(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of every series of an InfluxQL answer, tags among the columns. Raises ValueError for an error in it."""
    found: list[dict[str, Any]] = []
    for result in answer.get("results", []):
        if "error" in result:
            raise ValueError(str(result["error"]))
        for series in result.get("series", []):
            tags = series.get("tags", {})
            found += [{**tags, **dict(zip(series["columns"], values, strict=True))} for values in series.get("values", [])]
    if "error" in answer:
        raise ValueError(str(answer["error"]))
    return found
