"""A connection to one bench's daemon: where it is, who asks, and its problems as labd's own errors."""

from __future__ import annotations

import getpass
import json
import os
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar, cast
from urllib.parse import quote, urlsplit

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from labd.bench_file.server import PORT
from labd.client.generated import Client
from labd.client.generated.models.problem import Problem
from labd.client.generated.types import Response
from labd.client.trust import trusting, trusting_only
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
    ServerRefused,
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
BENCH_ENV, TOKEN_ENV, CA_ENV = "LABD_BENCH", "LABD_TOKEN", "LABD_CA"
USER = "labd-user"  # header: who asks, where no token says it
FAILURES = (InstrumentFailure, DutFailure, SafetyRefusal, OutputNotVerifiedOff, DataLost, StoreError, ServerRefused)
KINDS: dict[int, type[LabdError]] = {kind.exit_code: kind for kind in (*FAILURES, NotFound, WrongState, NotAllowed, Interrupted)}
BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
NO_TOKEN = f"the daemon asks for a token that it knows: set {TOKEN_ENV}"
NO_TLS, ONLY_TLS = (
    "does not speak TLS: give --bench http://HOST:PORT",
    "does not speak plain HTTP; with TLS it is --bench https://HOST:PORT",
)
MEANING = {  # of what OpenSSL and HTTP libraries say
    "WRONG_VERSION_NUMBER": NO_TLS,
    "record layer failure": NO_TLS,
    "CERTIFICATE_VERIFY_FAILED": f"has a certificate that is not trusted here; --ca FILE or {CA_ENV} names the one to trust",
    "Server disconnected without sending a response": ONLY_TLS,
    "did not receive a valid HTTP response": ONLY_TLS,
}
TAKEN_BACK = 4401  # closes a WebSocket whose token does not count any more


class NoDaemon(LabdError):
    """No daemon answers: none serves the store, or the one that is named cannot be reached."""

    exit_code = 10


class Refused(LabdError):
    """The daemon refuses, for a reason that has no error of its own."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a daemon is. url: without the API's prefix. token: empty where none is asked for. ca: PEM file of whom to trust, None for whom
    this machine trusts. own: the certificate that a daemon on this machine says it has, and which alone is trusted then."""

    url: str
    token: str = ""
    ca: Path | None = None
    own: Path | None = None

    @property
    def on_loopback(self) -> bool:
        return _loopback(urlsplit(self.url).hostname or "")

    def trust(self) -> ssl.SSLContext | None:
        """None without TLS. Raises FileError."""
        if not self.url.startswith("https:"):
            return None
        return trusting(self.ca) if self.own is None else trusting_only(self.own)


def target(bench: str | None, store: Path | None, ca: Path | None = None) -> Target:
    """By --bench or LABD_BENCH (a URL, or HOST or HOST:PORT: on TLS, on loopback without), else the daemon of the store. ca: by --ca, else
    LABD_CA; it means TLS everywhere.

    Raises NoDaemon, FileError for what was given.
    """
    named = bench or os.environ.get(BENCH_ENV, "")
    if not named:
        return here(store)
    given = os.environ.get(CA_ENV, "")
    trusted = ca or (Path(given) if given else None)
    return Target(_url(named, tls=trusted is not None), _token(), trusted)


def here(store: Path | None) -> Target:
    """The daemon that serves a store of this machine, whatever LABD_BENCH says. Raises NoDaemon, FileError for LABD_TOKEN."""
    path = (store or default_folder()) / PLACE
    try:
        place = json.loads(path.read_text(encoding="utf-8"))
        own = str(place["certificate"])
        return Target(str(place["url"]), _token(), own=Path(own) if own else None)
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
    """A context manager; a daemon that cannot be reached ends its body with NoDaemon. A proxy is never asked for one on this machine.

    The operations are functions generated from the OpenAPI document: `answer(list_jobs.sync_detailed(client=connection.client))`.
    """

    def __init__(self, where: Target, *, within_s: float | None = ANSWER_S) -> None:
        """within_s: an answer has to come; None where what is asked for takes as long as it takes."""
        self._where = where
        self._headers = _who(where)
        self._trust = where.trust()
        self._direct = where.on_loopback or where.own is not None
        self.client = Client(
            base_url=where.url.rstrip("/"),
            headers=self._headers,
            timeout=httpx.Timeout(within_s, connect=ANSWER_S),
            verify_ssl=self._trust or False,  # without TLS there is nothing to verify
            httpx_args={"trust_env": not self._direct},
        )

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

    def table(self, form: str, cards: Sequence[str], runs: Sequence[str], *, imported: bool = False) -> dict[str, Any]:
        """A table in one of the paper's forms, of the texts of cards, what is imported and the runs there. Raises LabdError."""
        found: dict[str, Any] = self.asked("POST", "tables", {"form": form, "cards": list(cards), "runs": list(runs), "imported": imported})
        return found

    def asked(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What an operation that takes and gives JSON says; None where it says nothing. Raises LabdError."""
        response = self.client.get_httpx_client().request(method, PREFIX + path, json=body)
        if response.is_error:
            raise _error(response.status_code, response.content)
        return response.json() if response.content else None

    def exported(self, run: str, form: str, model: str | None = None) -> str:
        """A run for other programs, `mlperf-tiny` of one model or `json`. Raises LabdError."""
        response = self.client.get_httpx_client().get(
            f"{PREFIX}runs/{quote(run, safe='')}/interchange", params={"format": form} | ({"model": model} if model else {})
        )
        if response.is_error:
            raise _error(response.status_code, response.content)
        return response.text

    def chart(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Charts of the texts of cards and the runs there. asked: as `POST /charts` takes it. Raises LabdError."""
        response = self.client.get_httpx_client().post(f"{PREFIX}charts", json=dict(asked))
        if response.is_error:
            raise _error(response.status_code, response.content)
        found: dict[str, Any] = response.json()
        return found

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
            proxy: Literal[True] | None = None if self._direct else True  # True: what the environment says
            with connect(url, additional_headers=self._headers, max_size=1 << 24, ssl=self._trust, proxy=proxy) as socket:
                yield (_news(json.loads(text)) for text in socket)
        except InvalidStatus as error:
            raise NotAllowed(NO_TOKEN) from error
        except ConnectionClosed as error:
            raise (NotAllowed(NO_TOKEN) if error.rcvd and error.rcvd.code == TAKEN_BACK else self._unreached(error)) from error
        except (OSError, WebSocketException, ssl.SSLError) as error:
            raise self._unreached(error) from error

    def _unreached(self, error: Exception) -> NoDaemon:
        text = str(error) or type(error).__name__
        means = next((means for said, means in MEANING.items() if said in text), "")
        return NoDaemon(f"the daemon at {self._where.url} {f'{means} ({text})' if means else f'does not answer: {text}'}")


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


def _who(where: Target) -> dict[str, str]:
    """A token says it; on loopback without tokens the login name, which nobody checks."""
    if where.token:
        return {"authorization": f"Bearer {where.token}"}
    try:
        name = getpass.getuser() if where.on_loopback else ""
    except (KeyError, OSError):  # this machine has no name for its user
        name = ""
    return {USER: name} if re.fullmatch(r"[!-~]+", name) else {}


def _token() -> str:
    token = os.environ.get(TOKEN_ENV, "")
    if not re.fullmatch(r"[!-~]*", token):
        raise FileError(TOKEN_ENV, "", "is no token: tokens are printable ASCII without spaces, as `labd token` prints them")
    return token


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _url(named: str, *, tls: bool) -> str:
    try:
        bare = "://" not in named
        parts = urlsplit(f"https://{named}" if bare else named)
        port = parts.port
    except ValueError as error:
        raise FileError("--bench", "", f"{named!r} is no HOST, HOST:PORT or URL: {error}") from error
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise FileError("--bench", "", f"{named!r} is no HOST, HOST:PORT or URL, such as bench-pc:{PORT} or http://127.0.0.1:{PORT}")
    if not bare:
        return parts.geturl()
    scheme = "http" if _loopback(parts.hostname) and not tls else "https"
    place = parts.netloc if port is not None else f"{parts.netloc.rstrip(':')}:{PORT}"
    return parts._replace(scheme=scheme, netloc=place).geturl()
