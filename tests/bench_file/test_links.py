"""Links to a board, each kind with its own keys: a serial port, and the agent on a Linux board."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.bench_file import effective, load_bench
from labd.errors import FileError
from tests.bench_file.changes import change

AGENT = "benches/virtual-agent.toml"
ADDRESS = 'address = "127.0.0.1:8471"'
KEY_FILE = 'key_file = "../agent.key"'
BAD = [
    (ADDRESS, "", "links.agent.address: expected an address such as"),
    (ADDRESS, f'{ADDRESS}\nport = "/dev/ttyUSB0"', "or a serial port (port), got both"),
    (ADDRESS, 'address = "my-board"', 'links.agent.address: expected an address and a port such as "192.168.1.20:8471", got "my-board"'),
    (ADDRESS, f'{ADDRESS}\nvia = "interface-board"', 'links.agent.via: only a link of kind = "serial" has this key'),
    (ADDRESS, f"{ADDRESS}\nbaud = 115200", "links.agent.baud: a link over a network has no baud rate"),
    (ADDRESS, f'{ADDRESS}\nio_level = "3.3 V"', "links.agent.io_level: a link over a network has no line into the board"),
    (ADDRESS, f'{ADDRESS}\nisolation = "none"', "links.agent.isolation: a link over a network has no line into the board"),
    (ADDRESS, "virtual = true", "links.agent.virtual: an agent is a process of its own, also for a virtual board: name its address"),
    (ADDRESS, 'port = "/dev/ttyUSB0"', 'links.agent.io_level: this key is required: io_level = "3.3 V"'),
    (ADDRESS, 'port = "/dev/ttyUSB0"', 'links.agent.isolation: this key is required: isolation = "none"'),
    (KEY_FILE, "", 'links.agent.key_file: this key is required: key_file = "agent.key"'),
    ('kind = "agent"', 'kind = "serial"', 'links.agent.address: only a link of kind = "agent" has this key'),
    ('kind = "agent"', 'kind = "serial"', 'links.agent.key_file: only a link of kind = "agent" has this key'),
    ('kind = "agent"', 'kind = "agnet"', 'links.agent.kind: expected one of "serial", "agent", got "agnet"; did you mean "agent"?'),
    ('time = "real" ', 'time = "stepped" ', "time: the agent of links.agent runs in its own time, a stepped bench does not"),
]


@pytest.mark.parametrize(("old", "new", "problem"), BAD, ids=[problem[:50] for _, _, problem in BAD])
def test_a_wrong_link_is_refused_in_one_line(files: Path, old: str, new: str, problem: str) -> None:
    change(files, AGENT, (old, new))
    with pytest.raises(FileError) as caught:
        load_bench(files / AGENT)
    assert any(problem in found for found in caught.value.problems), caught.value.problems


@pytest.mark.parametrize("address", ["192.168.1.20:8471", "jetson.lab:8471", "[fe80::1]:8471"])
def test_an_agent_is_at_a_name_or_an_address_and_a_port(files: Path, address: str) -> None:
    change(files, AGENT, (ADDRESS, f'address = "{address}"'))
    assert load_bench(files / AGENT).links["agent"].address == address


def test_an_agent_may_be_at_a_serial_port(files: Path) -> None:
    change(files, AGENT, (ADDRESS, 'port = "/dev/ttyUSB0"\nio_level = "3.3 V"\nisolation = "none"'))
    link = load_bench(files / AGENT).links["agent"]
    assert link.wired
    assert link.baud == 115200


def test_a_serial_link_has_its_level_and_isolation(files: Path) -> None:
    change(files, "benches/demo.toml", ('io_level = "3.0 V"\n', ""))
    with pytest.raises(FileError, match=r"links\.uart\.io_level: this key is required"):
        load_bench(files / "benches/demo.toml")


def test_what_is_kept_of_a_bench_names_the_file_of_a_key_and_not_the_key(files: Path) -> None:
    secret = "5ec4e7" * 10
    (files / "agent.key").write_text(secret, encoding="utf-8")
    kept = str(effective(load_bench(files / AGENT)))
    assert "agent.key" in kept
    assert secret not in kept
