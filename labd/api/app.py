"""The application: routes behind the gate, errors as problem details, the page."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from labd.analyse.environment import versions
from labd.api import problems
from labd.api.gate import HEALTH, Entrance, Limits, SecurityHeaders
from labd.api.problems import Problem
from labd.api.routes import accuracy, bench, captures, cards, imports, jobs, metrics, runs, searches, streams
from labd.api.routes.asked import PROBLEMS
from labd.api.services import Services

PREFIX = "/api/v1"
PAGE = Path(__file__).parent / "page"
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a token that `labd token` made"},
    "basic": {"type": "http", "scheme": "basic", "description": "any name, the token as password: what a browser asks for"},
}
NOT_BUILT = (
    "<!doctype html><title>labd</title><p>The page is not built in this checkout: install labd again (make venv). The API is at /api/v1."
)


class Page(StaticFiles):
    """Asked for each time, and sent when it has changed: no name carries a version."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["cache-control"] = "no-cache"
        return answer


class PageBesideApi(Mount):
    """Everywhere but under /api: what is wrong there, the API says."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope["path"].startswith("/api/") else super().matches(scope)


class HeadAsGet:
    """Of the API; the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD" and scope["path"].startswith("/api/"):
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def create_app(services: Services | None, *, page: Path = PAGE) -> FastAPI:
    """services None: for the document only."""
    app = FastAPI(
        title="labd",
        version=versions()["labd"],
        description="Measure energy per inference of small AI hardware: the bench's queue, runs, samples and figures.",
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        responses=PROBLEMS,
    )
    problems.install(app)
    api = APIRouter(prefix=PREFIX)
    for module in (bench, jobs, accuracy, searches, captures, runs, cards, imports, streams, metrics):
        api.include_router(module.router)
    app.include_router(api)
    app.openapi = partial(_document, app)  # type: ignore[method-assign]
    if services is None:
        return app
    app.state.services = services
    if (page / "index.html").exists():
        app.router.routes.append(PageBesideApi("/", app=Page(directory=page, html=True), name="page"))
    else:
        app.add_api_route("/", _not_built, include_in_schema=False)
    # the last one added is the outermost
    app.add_middleware(HeadAsGet)
    app.add_middleware(Entrance, access=services.access)
    app.add_middleware(Limits, access=services.access)
    app.add_middleware(SecurityHeaders)
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """With the schema that every route's errors refer to, and how a token is sent where one is asked for."""
    if not app.openapi_schema:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        found["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        found["components"]["securitySchemes"] = SECURITY
        found["security"] = [{"bearer": []}, {"basic": []}, {}]  # the last: on loopback without tokens
        found["paths"][HEALTH]["get"]["security"] = []
        app.openapi_schema = found
    return app.openapi_schema


async def _not_built() -> HTMLResponse:
    return HTMLResponse(NOT_BUILT)
