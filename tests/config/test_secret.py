"""Secrets that a bench file only names: taken as they were meant, and never shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from labd.config.secret import authority, token
from labd.errors import FileError
from labd.influx.section import InfluxSection

Given = Callable[[str, Path, pytest.MonkeyPatch], InfluxSection]
URL = "http://127.0.0.1:8086"


def by_variable(value: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> InfluxSection:
    monkeypatch.setenv("LABD_TEST_TOKEN", value)
    return InfluxSection(url=URL, api="v2", token_env="LABD_TEST_TOKEN")


def by_file(value: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> InfluxSection:
    (folder / "token").write_text(value, encoding="utf-8")
    return InfluxSection(url=URL, api="v2", token_file="token")


@pytest.mark.parametrize("given", [by_variable, by_file])
def test_a_line_feed_behind_a_token_is_no_part_of_it(given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert token(given("s3cret\n", tmp_path, monkeypatch), "influx", tmp_path) == "s3cret"


@pytest.mark.parametrize("given", [by_variable, by_file])
@pytest.mark.parametrize("value", ["s3cr\u00e9t", "s3cret two", "s3cret\nX-Other: 1"])
def test_what_no_header_can_carry_is_refused_and_not_shown(
    given: Given, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileError, match="printable ASCII without spaces") as refused:
        token(given(value, tmp_path, monkeypatch), "influx", tmp_path)
    assert "s3cr" not in str(refused.value)


def test_a_file_that_is_no_authority_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(FileError, match=rf"{name}.*no PEM file of an authority"):
            authority(tmp_path / name)
