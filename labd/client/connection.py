"""A connection to one bench's daemon: where it is, who asks, and its problems as labd's own errors."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from labd.errors import DutFailure, FileError, InstrumentFailure, Interrupted, LabdError, NotFound, SafetyRefusal
from labd.store.folder import default_folder
from labd.stream.news import News, NewsKind

PREFIX = "/api/v1/"
ANSWER_S = 60.0
PLACE = "daemon.json"
BENCH_ENV, TOKEN_ENV = "LABD_BENCH", "LABD_TOKEN"
KINDS: dict[str, type[LabdError]] = {kind.__name__: kind for kind in (NotFound, SafetyRefusal, InstrumentFailure, DutFailure, Interrupted)}


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


class Connection:
    """A context manager."""

    def __init__(self, where: Target) -> None:
        self._where = where
        headers = {"authorization": f"Bearer {where.token}"} if where.token else {}
        self._http = httpx.Client(base_url=where.url.rstrip("/") + PREFIX, headers=headers, timeout=ANSWER_S)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        return self._asked("GET", path, params={name: value for name, value in query.items() if value is not None}).json()

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return _body(self._asked("POST", path, json=body))

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return _body(self._asked("PATCH", path, json=body))

    def delete(self, path: str) -> Any:
        return _body(self._asked("DELETE", path))

    def text(self, path: str, **query: Any) -> str:
        return self._asked("GET", path, params=query).text

    def download(self, path: str, target: Path) -> None:
        """Written aside and renamed: a file of that name is whole. Raises LabdError."""
        part = target.with_name(f"{target.name}.part")
        try:
            with self._http.stream("GET", path) as answer, part.open("wb") as file:
                if answer.is_error:
                    answer.read()
                    raise _error(answer)
                for data in answer.iter_bytes():
                    file.write(data)
            part.replace(target)
        except httpx.HTTPError as error:
            raise self._unreached(error) from error
        finally:
            part.unlink(missing_ok=True)

    def upload(self, path: str, source: Path) -> Any:
        with source.open("rb") as file:
            return _body(self._asked("POST", path, content=file, headers={"content-type": "application/zip"}))

    @contextmanager
    def news(self) -> Iterator[Iterator[News | dict[str, Any]]]:
        """What happens from now on; the first item is the status, JSON data. Raises NoDaemon."""
        url = self._where.url.rstrip("/").replace("http", "ws", 1) + PREFIX + "news"
        headers = {"authorization": f"Bearer {self._where.token}"} if self._where.token else {}
        try:
            with connect(url, additional_headers=headers, max_size=1 << 24) as socket:
                yield (_news(json.loads(text)) for text in socket)
        except (OSError, WebSocketException, ssl.SSLError) as error:
            raise self._unreached(error) from error

    def _asked(self, method: str, path: str, **given: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **given)
        except httpx.HTTPError as error:
            raise self._unreached(error) from error
        if answer.is_error:
            raise _error(answer)
        return answer

    def _unreached(self, error: Exception) -> NoDaemon:
        return NoDaemon(f"the daemon at {self._where.url} does not answer: {error or type(error).__name__}")


def _error(answer: httpx.Response) -> LabdError:
    """What the problem document says, as the error that it was in the daemon."""
    try:
        said = answer.json()
    except ValueError:
        return Refused(f"{answer.status_code} {answer.reason_phrase}: {answer.text[:200]}")
    title, detail = str(said.get("title", "")), str(said.get("detail", ""))
    if title == FileError.__name__ or answer.status_code == 422:
        problems = tuple(str(one) for one in said.get("problems", ()))
        return FileError("the request", "", detail or title, problems)
    if title in KINDS:
        return KINDS[title](detail)
    if answer.status_code == 401:
        return Refused(f"the daemon asks for a token: set {TOKEN_ENV}")
    return Refused(detail or title)


def _body(answer: httpx.Response) -> Any:
    return answer.json() if answer.content else None


def _news(said: dict[str, Any]) -> News | dict[str, Any]:
    if said["kind"] not in set(NewsKind):
        return said
    return News(said["t_ns"], NewsKind(said["kind"]), said["text"], said["run"], said["capture"], said["job"], said["data"])


def _url(named: str) -> str:
    return named if "://" in named else f"https://{named}"
