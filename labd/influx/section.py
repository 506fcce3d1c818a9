"""The `[influx]` table of a bench file."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from labd.config import quantity as q
from labd.config.section import Section, Wrong
from labd.config.types import As, Bytes, Flag, Name, Seconds, Words

RATE_HZ = 100.0  # summaries a second, where nobody says

SummaryRate = Annotated[float, As(q.RATE, least=1.0, above=False, most=1000.0)]


class InfluxSection(Section):
    """The InfluxDB, or a server that speaks its line protocol, which summaries, events and figures go to."""

    url: Words = Field(description='of the server, such as "http://127.0.0.1:8086"')
    api: Literal["v1", "v2"] = Field(
        default="v1", description="v1: `/write`, which InfluxDB 1.x and VictoriaMetrics have; v2: `/api/v2/write` of InfluxDB 2.x and 3"
    )
    database: Words = Field(default="labd", description="database, with v2 the bucket; it must be there")
    retention_policy: Words | None = Field(default=None, description="of the database, with v1; left out, its default one")
    organisation: Words | None = Field(default=None, description="with v2: the organisation's name or id; InfluxDB 3 needs none")
    username: Words | None = Field(default=None, description="with v1; left out, none is sent")
    password_env: Name | None = Field(default=None, description="environment variable that holds the password")
    password_file: Words | None = Field(default=None, description="file that holds the password, relative to this one")
    token_env: Name | None = Field(default=None, description="with v2: environment variable that holds the token")
    token_file: Words | None = Field(default=None, description="with v2: file that holds the token, relative to this one")
    tls_ca: Words | None = Field(
        default=None, description="PEM file of the authority that an https server is checked against, relative to this one"
    )
    rate: SummaryRate = Field(default=RATE_HZ, description="summaries a second of what is captured, from the next run on")
    gzip: Flag | None = Field(default=None, description="compress what is sent; left out, only beyond this machine")
    timeout: Seconds = Field(default=10.0, description="of one request")
    outbox_size: Bytes = Field(
        default=2 << 30,
        description='what waits while the server is away, such as "2 GiB"; beyond it the oldest go, and `labd replay` brings them back',
    )
    outbox_age: Seconds = Field(default=7 * 86400.0, description="and those older than this")

    @property
    def compresses(self) -> bool:
        return not _on_this_machine(self.url) if self.gzip is None else self.gzip

    def wrong(self) -> Iterator[Wrong]:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield Wrong("url", f'expected a URL such as "http://127.0.0.1:8086", got {self.url!r}')
        if parts.username or parts.password:
            yield Wrong("url", "a password in a URL ends up in logs: use username and password_env or password_file")
        for key in ("password", "token"):
            if getattr(self, f"{key}_env") is not None and getattr(self, f"{key}_file") is not None:
                yield Wrong(f"{key}_file", f"give {key}_env or {key}_file, not both")
        for key in ("username", "password_env", "password_file", "retention_policy"):
            if self.api == "v2" and getattr(self, key) is not None:
                yield Wrong(key, 'this key belongs to api = "v1"; v2 takes token_env or token_file')
        for key in ("token_env", "token_file", "organisation"):
            if self.api == "v1" and getattr(self, key) is not None:
                yield Wrong(key, 'this key belongs to api = "v2"')
        if self.api == "v1" and self.username is None and (self.password_env or self.password_file):
            yield Wrong("username", "this key is required together with a password")
        if self.tls_ca is not None and parts.scheme != "https":
            yield Wrong("url", "tls_ca is given: write https://")


def _on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
