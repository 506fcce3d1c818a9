"""A connection to one bench's daemon: where it is, who asks, and its problems as labd's own errors."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast
from urllib.parse import quote

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from labd.client.generated import Client
from labd.client.generated.models.problem import Problem
from labd.client.generated.types import Response
from labd.errors import (
    DataLost,
    DutFailure,
    FileError,
    InstrumentFailure,
    Interrupted,
    LabdError,
    NotAllowed,
    NotFound,
    OutputNotVerifiedOff,
    SafetyRefusal,
    StoreError,
    WrongState,
)
from labd.store.folder import default_folder
from labd.stream.news import News, NewsKind

T = TypeVar("T")

PREFIX = "/api/v1/"
ANSWER_S = 60.0
PLACE = "daemon.json"
ZIP = {"content-type": "application/zip"}
BENCH_ENV, TOKEN_ENV = "LABD_BENCH", "LABD_TOKEN"
FAILURES = (InstrumentFailure, DutFailure, SafetyRefusal, OutputNotVerifiedOff, DataLost, StoreError)
KINDS: dict[int, type[LabdError]] = {kind.exit_code: kind for kind in (*FAILURES, NotFound, WrongState, NotAllowed, Interrupted)}
BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
NO_TOKEN = f"the daemon asks for a token that it knows: set {TOKEN_ENV}"
TAKEN_BACK = 4401  # closes a WebSocket whose token does not count any more


class NoDaemon(LabdError):
    """No daemon answers: none serves the store, or the one that is named cannot be reached."""

    exit_code = 10


class Refused(LabdError):
    """The daemon refuses, for a reason that has no error of its own."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a daemon is. url: without the API's prefix. token: empty where none is asked for."""

    url: str
    token: str = ""


def target(bench: str | None, store: Path | None) -> Target:
    """By --bench or LABD_BENCH (a URL, or HOST or HOST:PORT on TLS), else the daemon of the store. Raises NoDaemon."""
    token = os.environ.get(TOKEN_ENV, "")
    named = bench or os.environ.get(BENCH_ENV, "")
    if named:
        return Target(_url(named), token)
    path = (store or default_folder()) / PLACE
    try:
        return Target(str(json.loads(path.read_text(encoding="utf-8"))["url"]), token)
    except (OSError, ValueError, KeyError) as error:
        raise NoDaemon(
            f"no daemon serves {path.parent}; start one with `labd serve BENCH`, or name another with --bench HOST:PORT or {BENCH_ENV}"
        ) from error


def answer(response: Response[T | Problem]) -> T:
    """What an operation of `labd.client.generated.api` gave. Raises LabdError: the daemon's problem as the error that it was there."""
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        raise _error(response.status_code, response.content)
    return cast(T, response.parsed)


class Connection:
    """A context manager; a daemon that cannot be reached ends its body with NoDaemon.

    The operations are functions generated from the OpenAPI document: `answer(list_jobs.sync_detailed(client=connection.client))`.
    """

    def __init__(self, where: Target) -> None:
        self._where = where
        self._headers = {"authorization": f"Bearer {where.token}"} if where.token else {}
        self.client = Client(base_url=where.url.rstrip("/"), headers=self._headers, timeout=httpx.Timeout(ANSWER_S))

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        if isinstance(error, httpx.HTTPError):
            raise self._unreached(error) from error

    def close(self) -> None:
        self.client.get_httpx_client().close()

    @property
    def url(self) -> str:
        return self._where.url

    def report(self, run: str, form: str) -> str:
        """One file of a run's report: html, md, csv, json, text or ascii. Raises LabdError."""
        response = self.client.get_httpx_client().get(f"{PREFIX}runs/{quote(run, safe='')}/report", params={"format": form})
        if response.is_error:
            raise _error(response.status_code, response.content)
        return response.text

    def download(self, path: str, target: Path) -> None:
        """Written aside and renamed: a file of that name is whole. Raises LabdError, OSError."""
        part = target.with_name(f"{target.name}.part")
        try:
            with self.client.get_httpx_client().stream("GET", PREFIX + path, timeout=None) as response, part.open("wb") as file:
                if response.is_error:
                    raise _error(response.status_code, response.read())
                for data in response.iter_bytes():
                    file.write(data)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def upload(self, path: str, source: Path) -> Any:
        """A file of any size. Raises LabdError."""
        with source.open("rb") as file:
            response = self.client.get_httpx_client().post(PREFIX + path, content=file, headers=ZIP, timeout=None)
        if response.is_error:
            raise _error(response.status_code, response.content)
        return response.json()

    @contextmanager
    def news(self) -> Iterator[Iterator[News | dict[str, Any]]]:
        """What happens from now on; the first item is the status, JSON data. Raises NoDaemon, NotAllowed."""
        url = self._where.url.rstrip("/").replace("http", "ws", 1) + PREFIX + "news"
        try:
            with connect(url, additional_headers=self._headers, max_size=1 << 24) as socket:
                yield (_news(json.loads(text)) for text in socket)
        except InvalidStatus as error:
            raise NotAllowed(NO_TOKEN) from error
        except ConnectionClosed as error:
            raise (NotAllowed(NO_TOKEN) if error.rcvd and error.rcvd.code == TAKEN_BACK else self._unreached(error)) from error
        except (OSError, WebSocketException, ssl.SSLError) as error:
            raise self._unreached(error) from error

    def _unreached(self, error: Exception) -> NoDaemon:
        return NoDaemon(f"the daemon at {self._where.url} does not answer: {error or type(error).__name__}")


def _error(status: int, content: bytes) -> LabdError:
    """What the problem document says, as the error that it was in the daemon."""
    if status == HTTPStatus.UNAUTHORIZED:
        return NotAllowed(NO_TOKEN)
    try:
        said = json.loads(content)
        title, detail, code = str(said.get("title", "")), str(said.get("detail", "")), said.get("exit_code")
    except (ValueError, AttributeError):
        return Refused(f"{status}: {content[:200].decode(errors='replace')}")
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        problems = tuple(str(one) for one in said.get("problems", ()))
        return FileError("the request", "", detail or title, problems)
    if status == HTTPStatus.FORBIDDEN:
        return NotAllowed(detail or title)
    return (WrongState if status in BUSY else KINDS.get(code, Refused))(detail or title)


def _news(said: dict[str, Any]) -> News | dict[str, Any]:
    if said["kind"] not in set(NewsKind):
        return said
    return News(said["t_ns"], NewsKind(said["kind"]), said["text"], said["run"], said["capture"], said["job"], said["data"])


def _url(named: str) -> str:
    return named if "://" in named else f"https://{named}"
