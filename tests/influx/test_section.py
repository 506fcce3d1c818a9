"""The `[influx]` table says by name what is wrong in it, and secrets stay out of everything that is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labd.errors import FileError
from labd.influx.secrets import server_of
from labd.influx.section import InfluxSection

URL = "http://127.0.0.1:8086"


@pytest.mark.parametrize(
    ("given", "key", "words"),
    [
        ({"url": "127.0.0.1:8086"}, "url", "expected a URL"),
        ({"url": "http://u:p@host"}, "url", "ends up in logs"),
        ({"password_env": "A", "password_file": "b", "username": "u"}, "password_file", "not both"),
        ({"api": "v2", "username": "u"}, "username", 'belongs to api = "v1"'),
        ({"token_env": "T"}, "token_env", 'belongs to api = "v2"'),
        ({"password_env": "P"}, "username", "together with a password"),
        ({"tls_ca": "ca.pem"}, "url", "https"),
    ],
)
def test_what_contradicts_itself_is_named(given: dict[str, Any], key: str, words: str) -> None:
    (wrong, *_) = InfluxSection.model_validate({"url": URL, **given}).wrong()
    assert wrong.key == key
    assert words in wrong.text


def test_what_goes_beyond_this_machine_is_compressed_unless_it_is_said_otherwise() -> None:
    assert not InfluxSection(url=URL).compresses
    assert InfluxSection(url="http://influx.lab:8086").compresses
    assert not InfluxSection(url="http://influx.lab:8086", gzip=False).compresses


def test_secrets_come_from_files_and_variables_and_are_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    server = server_of(InfluxSection(url=URL, api="v2", token_file="token"), tmp_path)
    assert server.token == "s3cret"
    assert "s3cret" not in repr(server)
    monkeypatch.setenv("INFLUX_PASSWORD", "hunter2")
    assert server_of(InfluxSection(url=URL, username="u", password_env="INFLUX_PASSWORD"), tmp_path).password == "hunter2"


ABSENT: list[dict[str, Any]] = [
    {"api": "v2", "token_file": "none"},
    {"api": "v2", "token_env": "LABD_NO_SUCH"},
    {"url": "https://h", "tls_ca": "none"},
]


@pytest.mark.parametrize("given", ABSENT)
def test_a_secret_that_is_not_there_is_named(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(FileError, match=r"none|LABD_NO_SUCH"):
        server_of(InfluxSection.model_validate({"url": URL, **given}), tmp_path)


def test_a_file_that_is_no_text_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(FileError, match=r"token.*cannot be read"):
        server_of(InfluxSection(url=URL, api="v2", token_file="token"), tmp_path)
