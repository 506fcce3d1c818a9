"""Nothing runs before a client has proven the key: the reader and the gate in front of everything, and the process as a whole."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labd import agent
from labd.dut import agent_link
from tests.agent.apart import Agent, started

KEY = b"k" * 64
NONCE = "0123456789abcdef" * 2
ANSWERS = ("m-challenge-[", "e-[Not authenticated", "e-[Wrong key]")
# what a stranger may send: noise, and what is nearly right
PIECES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [f"hello {NONCE}%".encode(), b"hello%", b"proof%", b"infer 1 0%", b"workload model 10 1%", b"bye%", b"%", b"%%%", b"\r\n"]
    ),
    st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda digits: f"proof {digits}%".encode()),
    st.text("0123456789abcdef\u00e9\u0130", max_size=64).map(lambda text: f"proof {text}%".encode()),
)


@given(st.lists(PIECES, max_size=30))
def test_a_stranger_opens_nothing_and_hears_three_things_only(pieces: list[bytes]) -> None:
    gate, commands = agent.Gate(KEY), agent.Commands()
    for piece in pieces:
        for command in commands.feed(piece):
            lines = gate.answer(command)
            assert not gate.open
            assert len(lines) == 1
            assert lines[0].startswith(ANSWERS)


@given(st.binary(max_size=2000), st.lists(st.integers(1, 50), min_size=1))
def test_how_bytes_are_cut_makes_no_difference_and_no_command_is_longer_than_its_limit(data: bytes, cuts: list[int]) -> None:
    whole = agent.Commands().feed(data)
    cut, rest = agent.Commands(), data
    found: list[str | None] = []
    while rest:
        size = cuts[len(found) % len(cuts)]
        found += cut.feed(rest[:size])
        rest = rest[size:]
        assert len(cut._text) <= agent.LONGEST_COMMAND
    assert found == whole
    assert all(text is None or 0 < len(text) <= agent.LONGEST_COMMAND for text in whole)


def challenged(gate: agent.Gate) -> str:
    (line,) = gate.answer(f"hello {NONCE}")
    return line.removeprefix("m-challenge-[").removesuffix("]")


def test_who_knows_the_key_is_let_in_and_told_that_the_agent_knows_it_too() -> None:
    gate = agent.Gate(KEY)
    nonce = challenged(gate)
    assert gate.answer(f"proof {agent_link.proof(KEY, 'host', NONCE, nonce)}") == [
        f"m-welcome-[{agent_link.proof(KEY, 'agent', NONCE, nonce)}]"
    ]
    assert gate.open


@pytest.mark.parametrize("who", ["agent", ""])
def test_a_proof_made_for_the_other_side_opens_nothing(who: str) -> None:
    gate = agent.Gate(KEY)
    assert gate.answer(f"proof {agent_link.proof(KEY, who, NONCE, challenged(gate))}") == ["e-[Wrong key]"]
    assert not gate.open


def test_a_challenge_is_good_for_one_try_and_one_session() -> None:
    gate = agent.Gate(KEY)
    right = f"proof {agent_link.proof(KEY, 'host', NONCE, challenged(gate))}"
    assert gate.answer(f"proof {'0' * 64}") == ["e-[Wrong key]"]
    assert gate.answer(right)[0].startswith("e-[Not authenticated")
    challenged(gate)
    assert gate.answer(right) == ["e-[Wrong key]"]  # overheard before
    assert not gate.open


def test_who_begins_anew_has_to_prove_the_key_anew() -> None:
    gate = agent.Gate(KEY)
    gate.answer(f"proof {agent_link.proof(KEY, 'host', NONCE, challenged(gate))}")
    challenged(gate)
    assert not gate.open


@pytest.mark.parametrize(("wrong", "waits_s"), [(1, 1), (2, 2), (4, 8), (5, 16), (6, 16), (1026, 16), (10**6, 16)])
def test_who_tries_keys_waits_longer_each_time_up_to_a_limit(wrong: int, waits_s: float) -> None:
    assert agent.penalty_s(wrong) == waits_s


def test_who_begins_anew_on_an_old_connection_has_time_for_its_proof() -> None:
    serving = agent.Agent(agent.options_of(["--key-file", "none"]), [], KEY)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(20)
        client = agent.Client(theirs.fileno(), agent.Gate(KEY), theirs.close)
        serving._welcome(client)

        def said(command: str) -> str:
            ours.sendall(f"{command}%".encode())
            serving._heard(client)
            return ours.recv(200).decode()

        nonce = said(f"hello {NONCE}").partition("[")[2].partition("]")[0]
        assert said(f"proof {agent_link.proof(KEY, 'host', NONCE, nonce)}").startswith("m-welcome-[")
        client.since_s -= 2 * agent.PROOF_S
        nonce = said(f"hello {NONCE}").partition("[")[2].partition("]")[0]
        serving._look_at_clocks(time.monotonic())
        assert said(f"proof {agent_link.proof(KEY, 'host', NONCE, nonce)}").startswith("m-welcome-[")


@pytest.fixture(scope="module")
def telltale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, Path]]:
    """An agent whose model leaves a file behind as soon as it is looked at."""
    folder = tmp_path_factory.mktemp("telltale")
    trace = folder / "it-ran"
    model = f"from pathlib import Path\nPath({str(trace)!r}).touch()\ndef infer(data):\n    return []\n"
    with started(folder, model=model) as running:
        yield running, trace


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, min_size=1, max_size=12))
def test_no_process_is_started_and_no_model_is_touched_for_a_stranger(telltale: tuple[Agent, Path], pieces: list[bytes]) -> None:
    running, trace = telltale
    host, _, port = running.place.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as stranger, contextlib.suppress(ConnectionError):
        for piece in (*pieces, b"name%"):
            stranger.sendall(piece)
    assert running.children() == []
    assert not trace.exists()
    assert running.process.poll() is None


def test_silent_connections_make_way_the_oldest_first(telltale: tuple[Agent, Path]) -> None:
    host, _, port = telltale[0].place.rpartition(":")
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection((host, int(port)), timeout=20)) for _ in range(agent.UNPROVEN_CLIENTS + 1)]
        assert silent[0].recv(100) == b""
        for one in silent[1:]:
            one.sendall(f"hello {NONCE}%".encode())
            assert one.recv(100).startswith(b"m-challenge-[")


async def test_the_telltale_model_tells_of_who_is_let_in(telltale: tuple[Agent, Path]) -> None:
    """So that the test before could have failed."""
    running, trace = telltale
    async with running.device() as device:
        await device.infer(1)
        assert len(running.children()) == 1
    assert trace.exists()
