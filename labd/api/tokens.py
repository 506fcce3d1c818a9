"""Tokens: who may read and who may control. The file holds their hashes; a token itself is shown once, when it is made."""

from __future__ import annotations

import enum
import hashlib
import hmac
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from labd.config.document import FileSection, read_section
from labd.config.problems import file_error
from labd.config.section import Section, Wrong
from labd.config.types import Name


class Scope(enum.StrEnum):
    READ = "read"
    CONTROL = "control"


class TokenSection(Section):
    """One token. Its name is who it stands for."""

    scope: Scope = Field(description="read: look; control: also submit, move, abort, switch off")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the token, hex")


class TokensFile(FileSection):
    """The tokens of one bench."""

    tokens: Mapping[Name, TokenSection] = Field(default_factory=dict, description="one table a token")


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who asks. Without tokens everybody on this machine controls, and is who it says it is, or `local`."""

    name: str
    scope: Scope


LOCAL = Bearer("local", Scope.CONTROL)


def bearer_of(path: Path, token: str) -> Bearer | None:
    """Whose token it is, None for nobody's. Reads the file each time, so that a token can be taken back at once.

    Raises FileError for the file; for no token, whatever it is made of.
    """
    found, source = read_section(path, TokensFile)
    try:
        open_to_others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except OSError as error:
        raise file_error(str(source.path), [Wrong("", f"cannot be read: {error.strerror or error}")]) from error
    if open_to_others:
        raise file_error(str(source.path), [Wrong("", "other users may read or change this file; chmod 600 it")])
    digest = hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
    bearer: Bearer | None = None
    for name, section in found.tokens.items():
        if hmac.compare_digest(digest, section.sha256):
            bearer = Bearer(name, section.scope)
    return bearer


def refuse_powerless(path: Path) -> None:
    """Raises FileError for a file with which nobody could control the bench: it is missing, cannot be read, or holds no such token."""
    make = f"make one with `labd token NAME --scope control --file {path}`"
    if not path.exists():
        raise file_error(str(path), [Wrong("", f"there is no such file of tokens (server.tokens); {make}")])
    bearer_of(path, "")
    if all(section.scope is not Scope.CONTROL for section in read_section(path, TokensFile)[0].tokens.values()):
        raise file_error(str(path), [Wrong("tokens", f"there is no token with scope control; {make}")])


def make_token(path: Path, name: str, scope: Scope) -> str:
    """A new token, written into the file as its hash; the file is made, readable by its owner only. Raises FileError, OSError."""
    if path.exists() and name in read_section(path, TokensFile)[0].tokens:
        raise file_error(str(path), [Wrong(f"tokens.{name}", "there is a token of this name; delete its table to replace it")])
    token = f"labd_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(token.encode()).hexdigest()
    path.touch(mode=0o600)
    with path.open("a", encoding="utf-8") as file:
        file.write(f'\n[tokens.{name}]\nscope = "{scope}"\nsha256 = "{digest}"\n')
    return token
