"""Who is let in, with how much, how often: plain ASGI layers before the application."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labd.api.problems import problem
from labd.api.services import Access
from labd.api.tokens import LOCAL, Bearer, bearer_of
from labd.api.tokens import Scope as TokenScope
from labd.errors import FileError

HEALTH = "/api/v1/health"
MODELS = "/api/v1/models"
ZIPS = frozenset({"/api/v1/runs/import", "/api/v1/datasets"})  # what takes files of any size
USER = "labd-user"  # what a command calls its user, where no token says it: for leases among people who trust each other
PERSON = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,39}")
OFF = "/api/v1/bench/off"
ABORT = re.compile(r"/api/v1/jobs/[^/]+/abort")
READ_ONLY_POSTS = frozenset({"/api/v1/plans/check", "/api/v1/cards/check", "/api/v1/tables", "/api/v1/charts", MODELS})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SUBPROTOCOL = "labd.token."
BURST_S = 10
REFUSED = 4401  # close codes of WebSockets, private range
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class SecurityHeaders:
    """On every answer; nothing of the API is kept by a cache."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", CSP)
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "no-referrer"
                headers["cross-origin-opener-policy"] = "same-origin"
                headers["cross-origin-resource-policy"] = "same-origin"
                if scope["path"].startswith("/api/"):
                    headers["cache-control"] = "no-store"
            await send(message)

        await self._app(scope, receive, with_headers)


class Limits:
    """Rate by client, size of bodies with and without a declared length, and their type.

    Ending what goes on has a budget of its own: on loopback all programs are one client, and none of them may spend the emergency stop.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._allowed = RateLimitItemPerSecond(access.rate_limit * BURST_S, BURST_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        budget = "stop" if _stops(scope) else "all else"
        if not self._limiter.hit(self._allowed, budget, (scope.get("client") or ("?",))[0]):
            headers = {"retry-after": "1"}
            await _refuse(scope, receive, send, problem(429, "too many requests", detail="wait a second", headers=headers))
            return
        if scope["type"] == "http":
            bounded = await self._bounded(scope, receive, send)
            if bounded is None:
                return
            receive = bounded
        await self._app(scope, receive, send)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """None where the request has been refused already."""
        headers = Headers(scope=scope)
        wanted, largest = self._takes(scope["path"])
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > largest:
            await _refuse(scope, receive, send, problem(413, "the body is too large", detail=f"at most {largest} bytes are taken here"))
            return None
        has_body = (length.isdigit() and int(length) > 0) or "transfer-encoding" in headers
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if has_body and scope["method"] not in SAFE and kind != wanted:
            await _refuse(scope, receive, send, problem(415, "wrong content type", detail=f"expected {wanted}, got {kind or 'none'}"))
            return None
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > largest:
                raise HTTPException(413, f"the body is too large: at most {largest} bytes are taken here")
            return message

        return counted

    def _takes(self, path: str) -> tuple[str, int]:
        """The content type of a body and the most bytes of it."""
        if path in ZIPS:
            return "application/zip", self._access.largest_import
        if path == MODELS:
            return "application/octet-stream", self._access.largest_model
        return "application/json", self._access.largest_body


class Entrance:
    """Tokens where they are asked for; else this machine only, and no page of another origin (rebound names, forged requests)."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        method = scope.get("method", "GET")
        if self._access.tokens is None and _host(headers) not in self._access.hosts:
            await _refuse(scope, receive, send, problem(403, "wrong host", detail="this server answers to localhost only"))
            return
        if (method not in SAFE or scope["type"] == "websocket") and _foreign(headers):
            await _refuse(scope, receive, send, problem(403, "wrong origin", detail="requests from pages of another origin are refused"))
            return
        try:
            bearer = self._bearer(scope, headers)
        except FileError as error:
            await _refuse(scope, receive, send, problem(503, "tokens cannot be read", detail=str(error)))
            return
        if bearer is None:
            asked = {"www-authenticate": 'Basic realm="labd: any name, the token as password", charset="UTF-8"'}
            detail = "send it as bearer, or as password of any user"
            await _refuse(scope, receive, send, problem(401, "a token is needed", detail=detail, headers=asked))
            return
        if bearer.scope is TokenScope.READ and method not in SAFE and scope["path"] not in READ_ONLY_POSTS:
            detail = f"the token {bearer.name!r} may read, this takes control"
            await _refuse(scope, receive, send, problem(403, "not allowed", detail=detail))
            return
        scope["labd.bearer"] = bearer
        if scope["type"] == "websocket":
            scope["labd.taken_back"] = partial(self._taken_back, scope, headers)
        await self._app(scope, receive, send)

    async def _taken_back(self, scope: Scope, headers: Headers) -> None:
        """Until the token that opened a WebSocket lets nobody in any more, or the file of tokens cannot be read."""
        if self._access.tokens is None:
            await asyncio.Event().wait()
        bearer: Bearer | None = LOCAL
        while bearer is not None:
            await asyncio.sleep(self._access.look_again_s)
            try:
                bearer = await asyncio.to_thread(self._bearer, scope, headers)
            except FileError:
                bearer = None

    def _bearer(self, scope: Scope, headers: Headers) -> Bearer | None:
        if self._access.tokens is None:
            user = headers.get(USER, "")
            return Bearer(user, TokenScope.CONTROL) if PERSON.fullmatch(user) else LOCAL
        token = _token(headers, scope.get("subprotocols", ()))
        return bearer_of(self._access.tokens, token) if token else None


def subprotocol_of(offered: Iterable[str]) -> str | None:
    """Of a WebSocket's offers the one that carried its token, which the answer must name."""
    return next((one for one in offered if one.startswith(SUBPROTOCOL)), None)


def refuse_unguarded(host: str, *, on_loopback: bool, tokens: Path | None, tls: bool) -> None:
    """Raises FileError-like words for a server that would listen beyond this machine without tokens and TLS."""
    if on_loopback or (tokens is not None and tls):
        return
    lacking = " and ".join(([] if tokens is not None else ["tokens"]) + ([] if tls else ["tls_certificate and tls_key"]))
    raise FileError("server", "host", f"listening on {host}, beyond this machine, needs {lacking} in [server] of the bench file")


def _stops(scope: Scope) -> bool:
    return scope.get("method") == "POST" and (scope["path"] == OFF or ABORT.fullmatch(scope["path"]) is not None)


def _token(headers: Headers, subprotocols: Iterable[str]) -> str:
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":  # what a browser asks its user for
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except ValueError:  # no base64, no UTF-8, or not even ASCII
            return ""
    offered = subprotocol_of(subprotocols)
    return offered.removeprefix(SUBPROTOCOL) if offered else ""


def _host(headers: Headers) -> str:
    host = headers.get("host", "").lower()
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


def _foreign(headers: Headers) -> bool:
    """A browser says where a request comes from; other clients say nothing."""
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:  # "http://[": no browser's, and not ours
        return True


async def _refuse(scope: Scope, receive: Receive, send: Send, answer: Response) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": REFUSED, "reason": f"refused ({answer.status_code})"})
        return
    await answer(scope, receive, send)
