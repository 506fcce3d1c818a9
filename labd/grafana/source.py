"""The InfluxDB that the dashboards read, as Grafana's data source wants it; pure.

Texts are in the syntax of Grafana's provisioning files: `${NAME}` is an environment variable, `$$` a dollar sign (Grafana's documentation,
"Provision Grafana"; for InfluxQL with a token "Configure the InfluxDB data source").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from labd.errors import FileError

UID = "labd-influx"
NAME = "labd"
PLACEHOLDER = re.compile(r"\$\$|\$\{(\w+)\}")


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
    @property
    def password_env(self) -> str | None: ...
    @property
    def token_env(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Source:
    """token: of InfluxDB 2.x and 3, in place of user and password."""

    url: str = "${LABD_INFLUX_URL}"
    database: str = "${LABD_INFLUX_DATABASE}"
    username: str = "${LABD_INFLUX_USER}"
    password: str = "${LABD_INFLUX_PASSWORD}"
    token: str = ""

    @classmethod
    def with_token(cls) -> Source:
        return cls(username="", password="", token="${LABD_INFLUX_TOKEN}")


def source_of(influx: InfluxTable) -> Source:
    """What the bench file says. Secrets stay in the environment: where it names a file, under the variable of the default."""
    place = Source(_plain(influx.url), _plain(influx.database), username="", password="")
    if influx.api == "v2":
        return Source(place.url, place.database, "", "", token=_variable(influx.token_env or "LABD_INFLUX_TOKEN"))
    if influx.username is None:
        return place
    return Source(place.url, place.database, _plain(influx.username), _variable(influx.password_env or "LABD_INFLUX_PASSWORD"))


def data_source(source: Source) -> dict[str, Any]:
    """As a provisioning file and the HTTP API have it. timeInterval: Grafana asks for nothing finer."""
    found: dict[str, Any] = {"name": NAME, "uid": UID, "type": "influxdb", "access": "proxy", "url": source.url}
    settings = {"dbName": source.database, "httpMode": "POST", "version": "InfluxQL", "timeInterval": "100ms"}
    if source.token:
        header = {"httpHeaderName1": "Authorization"}
        return {**found, "jsonData": settings | header, "secureJsonData": {"httpHeaderValue1": f"Token {source.token}"}}
    if source.username:
        return {**found, "user": source.username, "jsonData": settings, "secureJsonData": {"password": source.password}}
    return {**found, "jsonData": settings}


def filled_in(value: Any, environment: Mapping[str, str]) -> Any:
    """With every `${NAME}` replaced, in all texts inside. Raises FileError for a variable that is not there."""
    if isinstance(value, dict):
        return {key: filled_in(inside, environment) for key, inside in value.items()}
    return PLACEHOLDER.sub(lambda found: _looked_up(found[1], environment), value) if isinstance(value, str) else value


def _looked_up(name: str | None, environment: Mapping[str, str]) -> str:
    if name is None:
        return "$"
    if name not in environment:
        raise FileError("labd grafana", name, "there is no such environment variable; set it, or give --from a bench file with [influx]")
    return environment[name]


def _plain(text: str) -> str:
    return text.replace("$", "$$")


def _variable(name: str) -> str:
    return f"${{{name}}}"
