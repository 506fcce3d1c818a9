"""Data source, folder and dashboards into a running Grafana, through its HTTP API.

Grafana's documentation, "HTTP API": "Data source", "Folder" and "Dashboard" (the `/api` ones, which Grafana 11 to 13 have), and "Other" for
`/api/health`.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import httpx

from labd.errors import ServerRefused
from labd.grafana.provisioning import FOLDER, dashboards
from labd.grafana.source import NAME, UID

OLDEST = (11, 1)
LEAST_REFRESH = "5s"  # what a Grafana draws at most when nobody has told it otherwise
TIMEOUT_S = 20.0
MESSAGE = "installed by labd"
SLOWER = f"drawn every {LEAST_REFRESH}; GF_DASHBOARDS_MIN_REFRESH_INTERVAL=500ms in Grafana's environment allows every second"
WHY_412 = {
    "version-mismatch": "somebody has changed it since",
    "name-exists": "there is one already",
    "plugin-dashboard": "it belongs to a plugin",
}
How = Literal["created", "updated", "kept"]


class GrafanaRefused(ServerRefused):
    """A Grafana cannot be reached, is too old, or does not take what it is given."""


@dataclass(frozen=True, slots=True)
class Installed:
    """note: what somebody should know, else empty."""

    what: str
    how: How
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: Mapping[str, Any]


class Grafana:
    """A running one. token: of a service account. verify: TLS, None for the system's authorities."""

    def __init__(self, url: str, token: str, *, verify: ssl.SSLContext | None = None) -> None:
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(headers=headers, verify=True if verify is None else verify, timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Grafana:
        self._http.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.__exit__(kind, error, trace)

    def install(self, source: Mapping[str, Any], *, keep: bool = False) -> list[Installed]:
        """source: as `data_source` makes it, filled in. keep: leave dashboards that are there. Raises GrafanaRefused."""
        self._check_version()
        done = [self._data_source(source), self._folder()]
        return [*done, *(self._dashboard(one, keep=keep) for one in dashboards())]

    def _check_version(self) -> None:
        """A Grafana may hide its version; then it is tried."""
        answer = self._ask("GET", "/api/health", what="look at Grafana")
        version = re.match(r"(\d+)\.(\d+)", str(answer.body.get("version", "")))
        if version is not None and (int(version[1]), int(version[2])) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise GrafanaRefused(f"{self._url} is Grafana {answer.body['version']}: the dashboards need Grafana {oldest} or newer")

    def _data_source(self, source: Mapping[str, Any]) -> Installed:
        what = f"data source {NAME}"
        there = self._ask("GET", f"/api/datasources/uid/{UID}", also=(404,), what=f"look at the {what}")
        if there.status == 404:
            self._ask("POST", "/api/datasources", source, what=f"make the {what}")
            return Installed(what, "created")
        if there.body.get("readOnly"):  # from a provisioning file, which the API cannot change
            return Installed(what, "kept")
        self._ask("PUT", f"/api/datasources/uid/{UID}", source, what=f"change the {what}")
        return Installed(what, "updated")

    def _folder(self) -> Installed:
        what = f"folder {FOLDER}"
        there = self._ask("GET", f"/api/folders/{FOLDER}", also=(404,), what=f"look at the {what}")
        if there.status == 404:
            self._ask("POST", "/api/folders", {"uid": FOLDER, "title": FOLDER}, what=f"make the {what}")
            return Installed(what, "created")
        return Installed(what, "kept")

    def _dashboard(self, dashboard: Mapping[str, Any], *, keep: bool) -> Installed:
        what = f"dashboard {dashboard['title']}"
        if keep and self._ask("GET", f"/api/dashboards/uid/{dashboard['uid']}", also=(404,), what=f"look at the {what}").status == 200:
            return Installed(what, "kept")
        answer = self._saved(dashboard, what)
        note = ""
        if answer.status == 400 and "refresh interval" in _words(answer.body):
            answer, note = self._saved({**dashboard, "refresh": LEAST_REFRESH}, what), SLOWER
        if answer.status == 400 and "provisioned" in _words(answer.body):  # from a file, which the API cannot change
            return Installed(what, "kept")
        if answer.status != 200:
            raise GrafanaRefused(f"{self._url}: could not save the {what}: {_why(answer.status, answer.body)}")
        return Installed(what, "created" if answer.body.get("version") == 1 else "updated", note)

    def _saved(self, dashboard: Mapping[str, Any], what: str) -> _Answer:
        body = {"dashboard": {**dashboard, "id": None}, "folderUid": FOLDER, "overwrite": True, "message": MESSAGE}
        return self._ask("POST", "/api/dashboards/db", body, also=(400,), what=f"save the {what}")

    def _ask(self, method: str, path: str, body: Any = None, *, also: tuple[int, ...] = (), what: str) -> _Answer:
        """also: refusals that the caller understands. Raises GrafanaRefused for the others."""
        try:
            answer = self._http.request(method, f"{self._url}{path}", json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GrafanaRefused(f"{self._url} cannot be reached: {error or type(error).__name__}") from error
        said = _said(answer)
        if answer.status_code in also or (answer.status_code == 200 and said is not None):
            return _Answer(answer.status_code, said or {})
        raise GrafanaRefused(f"{self._url}: could not {what}: {_why(answer.status_code, said)}")


def _words(said: Mapping[str, Any]) -> str:
    return str(said.get("message", "")).lower()


def _said(answer: httpx.Response) -> Mapping[str, Any] | None:
    """None for what is no JSON object: a login page, a proxy's error."""
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _why(status: int, said: Mapping[str, Any] | None) -> str:
    """What to do about a refusal, and Grafana's own words."""
    own = "" if said is None or not said.get("message") else f" (Grafana says: {said['message']})"
    if status == 401:
        return f"the token is not one of this Grafana's, or it has expired{own}"
    if status == 403:
        return f"the token's service account may not: it needs the role Admin{own}"
    if status == 404:
        return f"there is no such thing at this URL: is it Grafana's own, with its sub-path?{own}"
    if status == 409:
        return f"that name is taken by another one: rename or delete it in Grafana{own}"
    if status == 412:
        return f"{WHY_412.get(str((said or {}).get('status')), 'something is in its way')}{own}"
    if said is None:
        return f"it answered with status {status} and no JSON: is this Grafana's own URL?"
    return f"status {status}{own}"
