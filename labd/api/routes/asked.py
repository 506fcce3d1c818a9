"""What every route is given: the services behind the application, and who asks."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from labd.api.services import Services
from labd.api.tokens import Bearer


def _services(connection: HTTPConnection) -> Services:
    found: Services = connection.app.state.services
    return found


def _bearer(connection: HTTPConnection) -> Bearer:
    found: Bearer = connection.scope["labd.bearer"]
    return found


Given = Annotated[Services, Depends(_services)]
Who = Annotated[Bearer, Depends(_bearer)]

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, text in (
        (400, "no HTTP that can be read"),
        (401, "a token is needed"),
        (403, "not allowed"),
        (404, "there is no such thing"),
        (405, "this is not done there"),
        (409, "the bench, the job or the run is not in a state for this"),
        (413, "the body is too large"),
        (415, "wrong content type"),
        (422, "the request is wrong"),
        (429, "too many requests"),
        (503, "more is asked at once than can be answered, try again; or the file of tokens cannot be read"),
    )
}
