"""The application: routes behind the gate, errors as problem details, the page."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from labd.analyse.environment import versions
from labd.api import problems
from labd.api.gate import Entrance, Limits, SecurityHeaders
from labd.api.problems import Problem
from labd.api.routes import bench, captures, jobs, runs, streams
from labd.api.routes.asked import PROBLEMS
from labd.api.services import Services

PREFIX = "/api/v1"
PAGE = Path(__file__).parent / "page"
NOT_BUILT = (
    "<!doctype html><title>labd</title><p>The page is not built in this checkout: install labd again (make venv). The API is at /api/v1."
)


class Page(StaticFiles):
    """Asked for each time, and sent when it has changed: no name carries a version."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["cache-control"] = "no-cache"
        return answer


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
    for module in (bench, jobs, captures, runs, streams):
        api.include_router(module.router)
    app.include_router(api)
    app.openapi = partial(_document, app)  # type: ignore[method-assign]
    if services is None:
        return app
    app.state.services = services
    if (page / "index.html").exists():
        app.mount("/", Page(directory=page, html=True), name="page")
    else:
        app.add_api_route("/", _not_built, include_in_schema=False)
    # the last one added is the outermost
    app.add_middleware(Entrance, access=services.access)
    app.add_middleware(Limits, access=services.access)
    app.add_middleware(SecurityHeaders)
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """With the schema that every route's errors refer to."""
    if not app.openapi_schema:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        found["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        app.openapi_schema = found
    return app.openapi_schema


async def _not_built() -> HTMLResponse:
    return HTMLResponse(NOT_BUILT)
