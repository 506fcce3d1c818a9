"""`labd record`: what passed over the links of a bench is a dialogue that its drivers can be given in place of the instruments."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.cli import record
from labd.daemon import opened
from labd_instruments.links.scripted import ScriptedLink
from labd_instruments.loader import open_driver
from tests.bench.whole_run import FIXTURES, Watch
from tests.cli.bench_apart import write_plan
from tests.cli.local_app import Commands

pytestmark = pytest.mark.compiler
OPTIONS = {"channel": 1, "marker_channel": 2, "fire_pin": 3}


def test_a_check_is_recorded_and_can_be_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = Commands(capsys, record)("record", FIXTURES / "benches/demo.toml", tmp_path / "sent", "--store", tmp_path / "store")
    assert answer.code == 0, answer.out + answer.err
    file = tmp_path / "sent/smu.txt"
    assert str(file) in answer.out
    assert file.read_text("utf-8").startswith("# keysight_n6705c at TCPIP")
    link = ScriptedLink.from_file(file)
    driver = open_driver("keysight_n6705c", "smu", "SCRIPT", OPTIONS, link=link)
    driver.identify()
    driver.reset()
    assert "OUTP OFF" in file.read_text("utf-8")


def test_a_plan_is_recorded_with_its_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = write_plan(tmp_path / "plan.toml", floor_time="2 s")
    bench = FIXTURES / "benches/demo.toml"
    answer = Commands(capsys, record)("record", bench, tmp_path / "sent", "--plan", plan, "--store", tmp_path / "store", "--json")
    assert answer.code == 0, answer.out + answer.err
    assert "\n<b f4 " in (tmp_path / "sent/smu.txt").read_text("utf-8")


def test_what_passed_before_a_failure_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sense leads that are swapped trip the supply while it is tested."""
    watch = Watch(tmp_path / "truth.jsonl", open_lead="smu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened, "virtual_bench", watch.bench)
        answer = Commands(capsys, record)("record", FIXTURES / "benches/demo.toml", tmp_path / "sent", "--store", tmp_path / "store")
    assert answer.code != 0
    text = (tmp_path / "sent/smu.txt").read_text("utf-8")
    assert "> *RST" in text
    assert text.rstrip().splitlines()[-2].startswith("> OUTP? ")  # off, verified, on the way out
