"""The tables of a bench file that are about the daemon: `[server]`, `[storage]`, `[guard]`."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from pydantic import Field

from labd.config.section import Section, Wrong
from labd.config.types import Bytes, Count, Flag, Port, Seconds, Words

LOOPBACK = "127.0.0.1"
PORT = 8470


def from_here(url: str) -> str:
    """The address of this machine by which a server that listens on all of them is reached."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


class ServerSection(Section):
    """Where `labd serve` listens. Beyond loopback it needs tokens and TLS."""

    host: Words = Field(default=LOOPBACK, description="address to listen on; beyond loopback tokens and TLS are required")
    port: Port = Field(default=PORT, description="TCP port; 0 takes a free one")
    tokens: Words | None = Field(default=None, description="file with the tokens that `labd token` makes, relative to this one")
    tls_certificate: Words | None = Field(default=None, description="PEM file with the certificate chain, relative to this one")
    tls_key: Words | None = Field(default=None, description="PEM file with its key, relative to this one")
    rate_limit: Count = Field(default=50, description="requests a second and client; bursts of ten times as many are served")
    largest_body: Bytes = Field(default=1 << 20, description='largest request body, such as "1 MiB"; the import of a run may be larger')

    @property
    def on_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def wrong(self) -> Iterator[Wrong]:
        for key, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
            if getattr(self, key) is not None and getattr(self, other) is None:
                yield Wrong(other, f"this key is required together with {key}")
        if self.on_loopback:
            return
        if self.tokens is None:
            yield Wrong("tokens", f'this key is required to listen on {self.host}: tokens = "tokens.toml", made with `labd token`')
        if self.tls_certificate is None:
            yield Wrong("tls_certificate", f'this key is required to listen on {self.host}: tls_certificate = "bench.pem"')


class StorageSection(Section):
    """What the store may use of the disk."""

    quota: Bytes | None = Field(
        default=None, description='such as "20 GB": the oldest runs are deleted above this; runs tagged `keep` stay'
    )
    keep_days: Count | None = Field(default=None, description="runs older than this are deleted; runs tagged `keep` stay")
    least_free: Bytes = Field(
        default=1 << 30, description="no capture begins with less free disk space than this and the capture's own need"
    )


class GuardSection(Section):
    """The process that switches outputs off when the daemon does not."""

    socket: Words | None = Field(default=None, description="path of the guard's socket; left out, one in the runtime folder, by bench")
    heartbeat: Seconds = Field(default=1.0, description="a daemon silent for this long while the supply is on is taken for hung")
    attended: Flag = Field(default=False, description="somebody stays with the bench: runs without assured switching off are allowed")
