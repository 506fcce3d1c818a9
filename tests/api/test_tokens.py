"""A file of tokens lets somebody in, or the daemon does not start with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from labd.api.tokens import Scope, make_token, refuse_powerless
from labd.daemon.serve import ServeOptions, serve
from labd.errors import FileError
from tests.api.certificate import self_signed
from tests.cli.bench_apart import demo_text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.toml"


def test_a_file_that_is_not_there_is_refused_with_how_to_make_it(path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no such file of tokens .* make one with `labd token NAME --scope control --file"):
        refuse_powerless(path)


def test_a_file_in_which_nobody_may_control_is_refused(path: Path) -> None:
    path.touch(mode=0o600)
    with pytest.raises(FileError, match="no token with scope control; make one with `labd token"):
        refuse_powerless(path)
    make_token(path, "bob", Scope.READ)
    with pytest.raises(FileError, match="no token with scope control"):
        refuse_powerless(path)
    make_token(path, "ann", Scope.CONTROL)
    refuse_powerless(path)


def test_a_file_that_others_may_read_or_that_is_none_is_refused(path: Path) -> None:
    make_token(path, "ann", Scope.CONTROL)
    path.chmod(0o644)
    with pytest.raises(FileError, match="chmod 600"):
        refuse_powerless(path)
    path.chmod(0o600)
    path.write_text("no TOML [")
    with pytest.raises(FileError):
        refuse_powerless(path)


async def test_beyond_this_machine_the_daemon_does_not_start_without_a_token_that_controls(path: Path) -> None:
    tls = self_signed(path.parent)
    files = f'tokens = "{path.name}"\ntls_certificate = "{tls.certificate.name}"\ntls_key = "{tls.key.name}"\n'
    bench = path.with_name("bench.toml")
    bench.write_text(f'{demo_text()}\n[server]\nhost = "0.0.0.0"\nport = 0\n{files}')
    with pytest.raises(FileError, match="there is no such file of tokens"):
        await serve(ServeOptions(bench, path.with_name("store")), asyncio.Event(), lambda url: pytest.fail(f"serves at {url}"))
