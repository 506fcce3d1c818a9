"""Errors as problem details (RFC 9457): what went wrong, in labd's own words, with the status that fits."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from labd.errors import (
    DutFailure,
    FileError,
    InstrumentFailure,
    Interrupted,
    LabdError,
    NotAllowed,
    NotFound,
    SafetyRefusal,
    StoreError,
    WrongState,
)
from labd.queue.recurrence import RecurrenceError
from labd.store.session import StoreBusy

TYPE = "application/problem+json"
OURS = "Value error, "  # pydantic's words before those of a validator of labd's own
# The first that fits. A refusal of the bench is a conflict with its state; what an instrument or a board did is a bad gateway's fault.
STATUS: tuple[tuple[type[LabdError], int, str], ...] = (
    (NotFound, 404, "there is no such thing"),
    (StoreBusy, 503, "the store is busy"),
    (FileError, 422, "a file, or what it names, is wrong"),
    (RecurrenceError, 422, "this recurrence cannot be"),
    (SafetyRefusal, 409, "refused for safety"),
    (InstrumentFailure, 409, "an instrument failed"),
    (DutFailure, 409, "the board failed"),
    (StoreError, 409, "the store failed"),
    (NotAllowed, 409, "not allowed"),
    (Interrupted, 409, "interrupted"),
    (WrongState, 409, "not in this state"),
    (LabdError, 409, "it cannot be done"),
)
METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

log = logging.getLogger(__name__)


class Problem(BaseModel):
    """What every error says (RFC 9457). problems: everything found wrong, one line each; exit_code: of the command line for it."""

    type: str
    title: str
    status: int
    detail: str
    problems: list[str] = Field(default_factory=list)
    exit_code: int | None = None


def problem(status: int, title: str, *, detail: str = "", headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status_code=status, media_type=TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """No error leaves the server in another form, and none of labd's own with a stack."""
    app.add_exception_handler(LabdError, _of_labd)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)


def status_of(error: LabdError) -> int:
    return next(status for kind, status, _ in STATUS if isinstance(error, kind))


def title_of(error: LabdError) -> str:
    return next(title for kind, _, title in STATUS if isinstance(error, kind))


async def _of_labd(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LabdError)
    problems = list(getattr(error, "problems", ()) or (str(error),))
    headers = {"retry-after": "1"} if isinstance(error, StoreBusy) else {}
    return problem(status_of(error), title_of(error), detail=str(error), headers=headers, problems=problems, exit_code=error.exit_code)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [_said(one) for one in error.errors()]
    return problem(422, "the request is not what this operation takes", detail="; ".join(problems[:3]), problems=problems, exit_code=2)


def _said(one: Mapping[str, Any]) -> str:
    if one["type"] == "json_invalid":
        return f"body: is not JSON: {one['ctx']['error']} (character {one['loc'][-1]})"
    return f"{'.'.join(str(part) for part in one['loc'])}: {one['msg'].removeprefix(OURS)}"


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = {"allow": _allowed(request)} if error.status_code == 405 else error.headers
    where = f"there is no {request.method} {request.url.path}; /api/v1/openapi.json lists what there is"
    detail = where if error.status_code == 404 else ""
    return problem(error.status_code, str(error.detail), detail=detail, headers=headers)


def _allowed(request: Request) -> str:
    """By all routes with this path (RFC 9110, 10.2.1); the framework names the methods of the first one."""
    routes = request.app.router.routes
    methods = [m for m in METHODS if any(route.matches({**request.scope, "method": m})[0] is Match.FULL for route in routes)]
    return ", ".join([*methods, "HEAD"] if "GET" in methods else methods)


async def _fault(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    return problem(500, "a fault of labd's own, please report it", detail=f"{type(error).__name__}: {error}")
