"""How an agent is started, and the key that both sides have."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.dut.agent_link import read_key
from labd.errors import FileError
from tests.agent.apart import FREE, launched, make_key

HERE = Path(__file__)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--callable", "nowhere.py:infer"], "there is no file nowhere.py"),
        (["--callable", "nowhere.py"], "expected FILE:FUNCTION"),
        (["--callable", f"{HERE}:nofn"], "test_start.py has no function nofn; there are test_what_is_written_wrongly_is_one_line, "),
        (["--callable", "/proc/version:infer"], "/proc/version is no Python file that can be read: "),
        (["--command", "./classify --serve"], "./classify is no program that can be started here"),
        (["--command", "'true"], "No closing quotation"),
        ([], "what to run?"),
        (["--command", "true", "--listen", "somewhere"], "expected ADDRESS:PORT"),
        (["--command", "true", "--serial", "/dev/nowhere"], "/dev/nowhere: cannot be opened"),
        (["--command", "true", "--marker-line", "gpiochip99:1"], "GPIO line gpiochip99:1: No such file or directory"),
        (["--command", "a=true", "--command", "a=true"], "two models have one name"),
    ],
)
def test_what_is_written_wrongly_is_one_line(tmp_path: Path, options: list[str], says: str, capfd: pytest.CaptureFixture[str]) -> None:
    with launched(["--key-file", str(make_key(tmp_path)), *options]) as (process, _):
        assert process.wait(60) == 1
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert says in lines[0]


def test_a_key_is_for_its_owner_alone_and_is_never_written_over(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    key_file = make_key(tmp_path)
    assert key_file.stat().st_mode & 0o777 == 0o600
    before = key_file.read_bytes()
    with launched(["--key-file", str(key_file), "--make-key"]) as (process, _):
        assert process.wait(60) == 1
    assert key_file.read_bytes() == before
    key_file.chmod(0o644)
    with launched(["--key-file", str(key_file), "--command", "true"]) as (process, _):
        assert process.wait(60) == 1
    said = capfd.readouterr().err
    assert "others may read this key" in said
    assert before.decode().strip() not in said


def test_a_key_that_is_none_is_named_on_labds_side(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"agent\.key: the agent's key cannot be read: No such file"):
        read_key(tmp_path / "agent.key")
    (tmp_path / "agent.key").write_text("short\n", encoding="utf-8")
    (tmp_path / "agent.key").chmod(0o640)
    with pytest.raises(FileError, match=r"agent\.key: others may read this key: chmod 600 .*agent\.key"):
        read_key(tmp_path / "agent.key")
    (tmp_path / "agent.key").chmod(0o600)
    with pytest.raises(FileError, match="a key has at least 32 characters"):
        read_key(tmp_path / "agent.key")


def test_a_callable_that_is_imported_or_assigned_counts_as_there(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("from json import loads as infer\nother = infer\n", encoding="utf-8")
    for function in ("infer", "other"):
        with launched(["--key-file", str(make_key(tmp_path)), "--callable", f"{tmp_path / 'model.py'}:{function}", "--listen", FREE]) as (
            process,
            place,
        ):
            assert place.startswith("127.0.0.1:")
            assert process.poll() is None
