"""The `[mqtt]` table of a bench file."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from labd.config.section import Section, Wrong
from labd.config.types import Bytes, Flag, Name, Port, Seconds, Words


class MqttSection(Section):
    """The broker that events, figures and statistics are published to."""

    host: Words = Field(description="of the broker")
    port: Port = Field(default=1883, description="usually 1883, with TLS 8883")
    username: Words | None = Field(default=None, description="left out: none is sent")
    password_env: Name | None = Field(default=None, description="environment variable that holds the password")
    password_file: Words | None = Field(default=None, description="file that holds the password, relative to this one")
    tls: Flag = Field(default=False, description="encrypt, and check the broker's certificate against the system's")
    tls_ca: Words | None = Field(default=None, description="PEM file of the authority to check against instead, relative to this one")
    prefix: Name = Field(default="labd", description="first level of every topic")
    statistics_interval: Seconds = Field(default=1.0, description="how often means of a capture under way are published")
    commands: Flag = Field(default=False, description="take submit and abort from the broker, with a token of `server.tokens`")
    outbox_size: Bytes = Field(default=64 << 20, description='events that wait, such as "64 MiB"; beyond it the oldest go, counted')
    outbox_age: Seconds = Field(default=30 * 86400.0, description="and those older than this")

    def wrong(self) -> Iterator[Wrong]:
        if self.password_env is not None and self.password_file is not None:
            yield Wrong("password_file", "give password_env or password_file, not both")
        if self.username is None and (self.password_env or self.password_file):
            yield Wrong("username", "this key is required together with a password")
        if self.tls_ca is not None and not self.tls:
            yield Wrong("tls", "tls_ca is given: write tls = true")
