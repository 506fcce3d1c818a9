"""The `[grafana_live]` table of a bench file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from labd.config import quantity as q
from labd.config.section import Section, Wrong
from labd.config.types import As, Name, Words

PushRate = Annotated[float, As(q.RATE, most=20.0)]


class GrafanaLiveSection(Section):
    """The Grafana that is shown the capture under way several times a second, without any database between. Nothing of it is kept."""

    url: Words = Field(description='of Grafana, with its sub-path, such as "http://127.0.0.1:3000"')
    stream: Name = Field(default="labd", description="the channel that panels choose is `stream/STREAM/power`; one for each bench")
    token_env: Name | None = Field(default=None, description="environment variable that holds a service account's token")
    token_file: Words | None = Field(default=None, description="file that holds the token, relative to this one")
    tls_ca: Words | None = Field(
        default=None, description="PEM file of the authority that an https server is checked against, relative to this one"
    )
    rate: PushRate = Field(default=10.0, description="points a second; each is the mean since the one before")

    def wrong(self) -> Iterator[Wrong]:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield Wrong("url", f'expected a URL such as "http://127.0.0.1:3000", got {self.url!r}')
        if parts.username or parts.password:
            yield Wrong("url", "a password in a URL ends up in logs: use token_env or token_file")
        if self.token_env is None and self.token_file is None:
            yield Wrong("token_env", "this key or token_file is required: Grafana takes nothing without a token")
        if self.token_env is not None and self.token_file is not None:
            yield Wrong("token_file", "give token_env or token_file, not both")
        if self.tls_ca is not None and parts.scheme != "https":
            yield Wrong("url", "tls_ca is given: write https://")
