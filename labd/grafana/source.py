"""The InfluxDB that the dashboards read, as Grafana's data source wants it; pure.

Texts are in the syntax of Grafana's provisioning files: `$NAME` is an environment variable, `$$` a dollar sign (Grafana's documentation,
"Provision Grafana"; for InfluxQL with a token "Configure the InfluxDB data source"). Not `${NAME}`: that one Grafana expands twice, so that
a password loses what follows its first dollar sign (its `pkg/setting/expanders.go` and `pkg/services/provisioning/values`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlsplit

from labd.errors import FileError

UID = "labd-influx"
NAME = "labd"
TOKEN = "$LABD_INFLUX_TOKEN"
PLACEHOLDER = re.compile(r"\$\$|\$(\w+)")


class InfluxTable(Protocol):
    """What is read of the `[influx]` table of a bench file."""

    @property
    def url(self) -> str: ...
    @property
    def api(self) -> str: ...
    @property
    def database(self) -> str: ...
    @property
    def username(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Source:
    """token: of InfluxDB 2.x and 3, in place of user and password. ca: PEM text of the authority that an https server is checked against.

    The account is never the one that labd writes with: whoever may edit a panel could delete with it.
    """

    url: str = "$LABD_INFLUX_URL"
    database: str = "$LABD_INFLUX_DATABASE"
    username: str = "$LABD_INFLUX_USER"
    password: str = "$LABD_INFLUX_PASSWORD"
    token: str = ""
    ca: str = ""

    @classmethod
    def with_token(cls) -> Source:
        return cls(username="", password="", token=TOKEN)


def source_of(influx: InfluxTable, *, ca: str = "") -> Source:
    """Where the bench file says; the account for reading stays in the environment."""
    place = Source(_plain(influx.url), _plain(influx.database), ca=_plain(ca))
    if influx.api == "v2":
        return replace(place, username="", password="", token=TOKEN)
    return replace(place, username="", password="") if influx.username is None else place


def wrong_url(url: str) -> str:
    """What is wrong with it, empty where nothing is; never with a password in it."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return f"is no URL: {error}"
    if parts.username or parts.password:
        return "a password in a URL ends up in logs: give it by itself"
    return "" if parts.scheme in ("http", "https") and parts.hostname else f'expected a URL such as "http://127.0.0.1:3000", got {url!r}'


def data_source(source: Source) -> dict[str, Any]:
    """As a provisioning file and the HTTP API have it. timeInterval: Grafana asks for nothing finer."""
    found: dict[str, Any] = {"name": NAME, "uid": UID, "type": "influxdb", "access": "proxy", "url": source.url}
    settings: dict[str, Any] = {"dbName": source.database, "httpMode": "POST", "version": "InfluxQL", "timeInterval": "100ms"}
    secrets: dict[str, str] = {}
    if source.token:
        settings["httpHeaderName1"], secrets["httpHeaderValue1"] = "Authorization", f"Token {source.token}"
    elif source.username:
        found["user"], secrets["password"] = source.username, source.password
    if source.ca:
        settings["tlsAuthWithCACert"], secrets["tlsCACert"] = True, source.ca
    return {**found, "jsonData": settings} | ({"secureJsonData": secrets} if secrets else {})


def filled_in(value: Any, environment: Mapping[str, str]) -> Any:
    """With every `$NAME` replaced, in all texts inside. Raises FileError for a variable that is not there, is empty or is no URL."""
    if isinstance(value, dict):
        return {key: filled_in(inside, environment) for key, inside in value.items()}
    return PLACEHOLDER.sub(lambda found: _looked_up(found[1], environment), value) if isinstance(value, str) else value


def _looked_up(name: str | None, environment: Mapping[str, str]) -> str:
    if name is None:
        return "$"
    if not environment.get(name):
        text = "is empty" if name in environment else "is not there"
        raise FileError("labd grafana", name, f"this environment variable {text}; set it, or give --from a bench file with [influx]")
    if name == "LABD_INFLUX_URL" and (wrong := wrong_url(environment[name])):
        raise FileError("labd grafana", name, wrong)
    return environment[name]


def _plain(text: str) -> str:
    return text.replace("$", "$$")
