"""A stand-in for Grafana over a real socket: it refuses what Grafana's documentation of its HTTP API says that Grafana refuses.

"Data source", "Folder" and "Dashboard HTTP API", "Set up Grafana Live". Grafana's own words are from its documentation where that has some.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADMIN, VIEWER = "glsa_admin", "glsa_viewer"
UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
LINE = re.compile(r"(?P<name>\w+)(?P<tags>(,\w+=(\\.|[^,= \\])+)*) (?P<fields>\w+=-?[0-9.e-]+(,\w+=-?[0-9.e-]+)*) (?P<t_ns>[0-9]{19})\n")
Answer = tuple[int, dict[str, Any]]


@dataclass(slots=True)
class FakeGrafana:
    """failing: statuses that the next requests are answered with, whatever they ask. pushed: lines by stream. min_refresh_s: of its
    settings; 5 s where nobody has set it."""

    url: str = ""
    version: str = "12.1.1"
    min_refresh_s: float = 5.0
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    pushed: list[tuple[str, str]] = field(default_factory=list)
    failing: list[int] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def answer(self, method: str, path: str, token: str, body: bytes) -> Answer:
        if self.failing:
            return self.failing.pop(0), {"message": "made to fail"}
        if path == "/api/health":
            return 200, {"database": "ok", "version": self.version, "commit": "abc"} if self.version else {"database": "ok"}
        if token not in (ADMIN, VIEWER):
            return 401, {"message": "Invalid API key"}
        if path.startswith("/api/live/push/"):  # whoever is signed in may
            return self._push(path.removeprefix("/api/live/push/"), body)
        if token == VIEWER and method != "GET":
            return 403, {"message": "You'll need additional permissions to perform this action."}
        try:
            given = json.loads(body) if body else {}
        except ValueError:
            return 400, {"message": "bad request data"}
        routes: list[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", "/api/datasources/uid/(.+)", lambda uid: _found(self.sources.get(uid), "Data source not found")),
            ("PUT", "/api/datasources/uid/(.+)", lambda uid: self._change_source(uid, given)),
            ("POST", "/api/datasources", lambda: self._make_source(given)),
            ("GET", "/api/folders/(.+)", lambda uid: _found({"uid": uid} if uid in self.folders else None, "folder not found")),
            ("POST", "/api/folders", lambda: self._make_folder(given)),
            ("GET", "/api/dashboards/uid/(.+)", lambda uid: _found(self.dashboards.get(uid), "Dashboard not found")),
            ("POST", "/api/dashboards/db", lambda: self._save(given)),
        ]
        for verb, pattern, act in routes:
            if verb == method and (match := re.fullmatch(pattern, path)):
                return act(*match.groups())
        return 404, {"message": "Not found"}

    def _make_source(self, given: dict[str, Any]) -> Answer:
        if not all(isinstance(given.get(key), str) and given[key] for key in ("name", "type", "access")):
            return 400, {"message": "bad request data"}
        if not UID.fullmatch(given.get("uid", "x")):
            return 400, {"message": "uid contains invalid characters or is too long"}
        if any(given["name"] == one["name"] for one in self.sources.values()):
            return 409, {"message": "data source with the same name already exists"}
        self.sources[given["uid"]] = given
        return 200, {"message": "Datasource added", "datasource": given}

    def _change_source(self, uid: str, given: dict[str, Any]) -> Answer:
        there = self.sources.get(uid)
        if there is None:
            return 404, {"message": "Data source not found"}
        if there.get("readOnly"):
            return 403, {"message": "Cannot update read-only data source"}
        if any(given["name"] == one["name"] for own, one in self.sources.items() if own != uid):
            return 409, {"message": "data source with the same name already exists"}
        self.sources[uid] = given
        return 200, {"message": "Datasource updated", "datasource": given}

    def _make_folder(self, given: dict[str, Any]) -> Answer:
        if not given.get("title"):
            return 400, {"message": "folder title cannot be empty"}
        if not UID.fullmatch(given.get("uid", "x")):
            return 400, {"message": "uid contains illegal characters or is too long"}
        if given["uid"] in self.folders or given["title"] in self.folders.values():
            return 409, {"message": "a folder with the same name already exists in the current location"}
        self.folders[given["uid"]] = given["title"]
        return 200, {"uid": given["uid"], "title": given["title"], "version": 1}

    def _save(self, given: dict[str, Any]) -> Answer:
        dashboard = given.get("dashboard")
        if not isinstance(dashboard, dict) or not isinstance(given.get("overwrite", False), bool):
            return 400, {"message": "bad request data"}
        if not dashboard.get("title"):
            return 400, {"message": "Dashboard title cannot be empty"}
        uid = dashboard.get("uid") or "made-up"
        if not UID.fullmatch(uid):
            return 400, {"message": "uid too long, max 40 characters"}
        if dashboard.get("id") is not None or given.get("folderUid") not in self.folders:
            return 404, {"message": "dashboard or folder not found"}
        refresh = re.fullmatch(r"(\d+)(ms|s|m)", dashboard.get("refresh") or "5m")
        if refresh is None or int(refresh[1]) * {"ms": 1e-3, "s": 1, "m": 60}[refresh[2]] < self.min_refresh_s:
            return 400, {"message": "Dashboard refresh interval is too low"}
        there = self.dashboards.get(uid)
        if there is not None and there.get("provisioned"):
            return 400, {"message": "Cannot save provisioned dashboard"}
        if there is not None and not given.get("overwrite") and dashboard.get("version") != there["version"]:
            return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        same = [own for own, one in self.dashboards.items() if one["title"] == dashboard["title"] and own != uid]
        if same and not given.get("overwrite"):
            return 412, {"message": "A dashboard with the same name in the folder already exists", "status": "name-exists"}
        if there is not None and there.get("plugin"):
            return 412, {"message": "The dashboard belongs to plugin Sun", "status": "plugin-dashboard"}
        version = 1 if there is None else there["version"] + 1
        self.dashboards[uid] = {**dashboard, "version": version}
        return 200, {"uid": uid, "status": "success", "version": version, "url": f"/d/{uid}"}

    def _push(self, stream: str, body: bytes) -> Answer:
        text = body.decode()
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,160}", stream):
            return 400, {"message": "invalid stream"}
        if not text or "".join(match[0] for match in LINE.finditer(text)) != text:
            return 500, {"message": "error converting metrics"}
        with self.came:
            self.pushed += [(stream, match[0]) for match in LINE.finditer(text)]
            self.came.notify_all()
        return 200, {}


@contextmanager
def fake_grafana() -> Iterator[FakeGrafana]:
    """Under the sub-path /grafana, as behind a proxy."""
    fake = FakeGrafana()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, said = (404, b"<html>not here</html>") if not self.path.startswith("/grafana/") else self._json(token, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def _json(self, token: str, body: bytes) -> tuple[int, bytes]:
            status, said = fake.answer(self.command, self.path.removeprefix("/grafana"), token, body)
            return status, json.dumps(said).encode()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
            """Quiet."""

    for verb in ("GET", "POST", "PUT"):
        setattr(Handler, f"do_{verb}", Handler.reply)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}/grafana"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="fake grafana")
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()


def _found(what: dict[str, Any] | None, text: str) -> Answer:
    return (404, {"message": text}) if what is None else (200, what)
