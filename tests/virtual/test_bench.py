"""The bench process: its first lines, its control channel, its end; and the compiled firmware on its wire."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from labd_virtual.bench import run_bench
from labd_virtual.firmware_build import FirmwareError, build
from labd_virtual.firmware_process import FirmwareProcess
from labd_virtual.spec import BenchSpec, FirmwareSpec, SpecError, read_spec

MS = 1_000_000
TINY = r"""
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
static void ask(uint8_t op, uint8_t a, uint16_t b, uint32_t c) {
    uint8_t q[8] = {op, a, (uint8_t)b, (uint8_t)(b >> 8), (uint8_t)c, (uint8_t)(c >> 8), (uint8_t)(c >> 16), (uint8_t)(c >> 24)}, r[16];
    if (write(3, q, 8) != 8 || recv(3, r, 16, MSG_WAITALL) != 16) { _exit(0); }
}
int main(void) {
    for (;;) {
        ask(2, 3, 2 << 8, 20000);
        ask(1, 3, 50, 64000);
        ask(1, 5, 100, 640000);
    }
}
"""


@asynccontextmanager
async def process(*arguments: str, spec: str = "{}") -> AsyncIterator[asyncio.subprocess.Process]:
    root = Path(__file__).parents[2] / "instruments"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "labd_virtual", *arguments, cwd=root, stdin=-1, stdout=-1, stderr=-1, env={"PYTHONDONTWRITEBYTECODE": "1"}
    )
    assert child.stdin is not None
    child.stdin.write(spec.encode() + b"\n")
    try:
        async with asyncio.timeout(30):
            yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def addresses(child: asyncio.subprocess.Process) -> dict[str, Any]:
    assert child.stdout is not None
    line: dict[str, Any] = json.loads(await child.stdout.readline())
    return line


@asynccontextmanager
async def control(found: dict[str, Any]) -> AsyncIterator[Any]:
    reader, writer = await asyncio.open_connection(*found["control"])

    async def ask(**request: Any) -> dict[str, Any]:
        writer.write(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await reader.readline())
        return answer

    try:
        yield ask
    finally:
        writer.close()
        await writer.wait_closed()


async def test_the_process_says_where_it_is_and_ends_with_its_parent() -> None:
    async with process() as child:
        found = await addresses(child)
        assert found["pid"] == child.pid
        assert found["instruments"] == {}
        assert found["uart"].startswith("/dev/")
        assert child.stdin is not None
        child.stdin.close()
        assert await child.wait() == 0


async def test_sigterm_ends_it() -> None:
    async with process() as child:
        await addresses(child)
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0


async def test_it_ends_quietly_with_clients_still_connected_and_one_of_them_waiting() -> None:
    async with process(spec='{"time":"real"}') as child:
        found = await addresses(child)
        async with control(found) as ask:
            assert (await ask(op="now"))["ok"]
            _, writer = await asyncio.open_connection(*found["control"])
            writer.write(b'{"op":"sleep","ns":1000000000000}\n')
            await writer.drain()
            assert (await ask(op="now"))["ok"]
            child.send_signal(signal.SIGTERM)
            _, err = await child.communicate()
            writer.close()
    assert child.returncode == 0
    assert err == b""


async def test_a_detached_process_outlives_its_stdin_and_ends_on_quit() -> None:
    async with process("--detach") as child:
        found = await addresses(child)
        assert child.stdin is not None
        child.stdin.close()
        async with control(found) as ask:
            assert (await ask(op="now"))["ok"]
            assert (await ask(op="quit"))["ok"]
        assert await child.wait() == 0


async def test_sleep_lets_board_time_pass() -> None:
    async with process() as child, control(await addresses(child)) as ask:
        assert (await ask(op="now"))["t_ns"] == 0
        assert (await ask(op="sleep", ns=3_600_000 * MS))["t_ns"] == 3_600_000 * MS


@pytest.mark.parametrize("op", ["truth", "redraw", "hang", "board", "output", "set"])
async def test_without_truth_nothing_on_the_socket_tells_it(op: str) -> None:
    async with process() as child, control(await addresses(child)) as ask:
        answer = await ask(op=op, seed=1, instrument="smu", on=True, key="board.leakage_a", value=1e-6)
        assert not answer["ok"]
        assert "--truth" in answer["error"]


async def test_with_truth_the_board_can_be_looked_at_and_marks_are_written(tmp_path: Path) -> None:
    file = tmp_path / "truth.jsonl"
    async with process("--truth", str(file)) as child, control(await addresses(child)) as ask:
        assert (await ask(op="board"))["state"] == "unpowered"
        assert (await ask(op="set", key="board.leakage_a", value=2e-6))["ok"]
        assert "nonsense" in (await ask(op="set", key="board.nonsense", value=1))["error"]
        assert "no instrument 'smu'" in (await ask(op="output", instrument="smu"))["error"]
        assert (await ask(op="redraw", seed=4))["ok"]
        await ask(op="sleep", ns=MS)
        await ask(op="truth", label="here")
        record = json.loads(file.read_text())
        assert (record["kind"], record["label"], record["t_ns"]) == ("mark", "here", MS)


@pytest.mark.parametrize("request_line", [b"\n", b"[]\n", b"{}\n", b'{"op":"sleep"}\n', b'{"op":"dance"}\n', b'{"op":["now"]}\n'])
async def test_a_bad_request_is_answered_and_the_channel_goes_on(request_line: bytes) -> None:
    async with process() as child:
        found = await addresses(child)
        reader, writer = await asyncio.open_connection(*found["control"])
        writer.write(request_line + b'{"op":"now"}\n')
        assert json.loads(await reader.readline())["ok"] is False
        assert json.loads(await reader.readline())["ok"] is True
        writer.close()


@pytest.mark.parametrize(
    ("spec", "words", "code"),
    [
        ("nonsense", "not JSON", 2),
        ('{"sed":1}', "sed: no such key", 2),
        ('{"instruments":{"a":{"persona":"no_such"}}}', "no virtual 'no_such'", 2),
        ('{"firmware":{"dir":"/nowhere"}}', "/nowhere: no firmware sources", 1),
    ],
)
async def test_a_bad_spec_is_one_line_on_stderr(spec: str, words: str, code: int) -> None:
    async with process(spec=spec) as child:
        out, err = await child.communicate()
    assert child.returncode == code
    assert out == b""
    assert words in err.decode()
    assert err.count(b"\n") == 1


async def test_a_missing_compiler_is_said_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FirmwareError, match="gcc libc6-dev"):
        await build(tmp_path, energy_mode=False, cache=tmp_path)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    for name in ("core", "host"):
        (tmp_path / "firmware" / name).mkdir(parents=True)
    (tmp_path / "firmware" / "host" / "main.c").write_text(TINY)
    return tmp_path


@pytest.mark.compiler
async def test_a_firmware_is_compiled_once_for_its_sources_and_flags(tiny: Path) -> None:
    first = await build(tiny / "firmware", energy_mode=False, cache=tiny / "cache")
    made = first.stat().st_mtime_ns
    assert await build(tiny / "firmware", energy_mode=False, cache=tiny / "cache") == first
    assert first.stat().st_mtime_ns == made
    assert await build(tiny / "firmware", energy_mode=True, cache=tiny / "cache") != first
    assert [p.name for p in (tiny / "cache" / "firmware").iterdir() if p.is_dir()] == []


@pytest.mark.compiler
async def test_a_firmware_that_does_not_compile_is_one_line(tiny: Path) -> None:
    (tiny / "firmware" / "host" / "main.c").write_text("int main(void) { return nonsense; }\n")
    with pytest.raises(FirmwareError, match=r"does not compile: .*nonsense") as caught:
        await build(tiny / "firmware", energy_mode=False, cache=tiny / "cache")
    assert "\n" not in str(caught.value)


@pytest.mark.compiler
async def test_the_compiled_firmware_runs_in_board_time_and_dies_with_the_supply(tiny: Path) -> None:
    spec = BenchSpec(firmware=FirmwareSpec(dir=str(tiny / "firmware")))
    async with run_bench(spec, keep_truth=True, cache=tiny / "cache") as bench, asyncio.timeout(20):
        bench.board.supply.drive(emf_v=3.0, resistance_ohm=0.01, clamp_a=0.1, connected=True)
        await bench.clock.sleep_until(1000 * MS)
        seen = [r for r in bench.truth if r["kind"] == "event"]
        assert len(seen) == 30  # 20 ms + 1.2 ms + 1 ms + 10 ms each
        bench.board.supply.drive(emf_v=0.0, resistance_ohm=0.01, clamp_a=1.0, connected=True)
        await bench.clock.sleep_until(1100 * MS)
        assert bench.board.look()["state"] == "unpowered"
        bench.board.supply.drive(emf_v=3.0, resistance_ohm=0.01, clamp_a=0.1, connected=True)
        await bench.clock.sleep_until(1200 * MS)
        assert bench.board.look()["boots"] == 2


async def test_an_unknown_persona_is_named() -> None:
    with pytest.raises(SpecError, match=r"instruments\.smu\.persona"):
        async with run_bench(read_spec('{"instruments":{"smu":{"persona":"no_such"}}}')):
            pass


async def test_an_error_in_the_body_comes_out_as_itself() -> None:
    with pytest.raises(ZeroDivisionError):
        async with run_bench(BenchSpec()):
            _ = 1 // 0


async def test_a_clock_that_fails_ends_the_bench() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    async def run() -> None:
        async with run_bench(BenchSpec()) as bench, asyncio.timeout(10):
            bench.clock.call_at(MS, fail)
            await bench.clock.sleep_until(2 * MS)

    with pytest.raises(ZeroDivisionError):
        await run()


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 0;", "the firmware ended"),
        ('return write(2, "first\\nno such pin\\n", 18) != 18;', "the firmware ended: no such pin"),
        ("for (;;) { }", "has computed for"),
    ],
)
async def test_a_firmware_that_ends_or_hangs_does_not_stop_the_bench(tiny: Path, body: str, words: str) -> None:
    (tiny / "firmware" / "host" / "main.c").write_text(f"#include <unistd.h>\nint main(void) {{ {body} }}\n")
    executable = await build(tiny / "firmware", energy_mode=False, cache=tiny / "cache")
    async with run_bench(BenchSpec(), firmware=FirmwareProcess(executable, stuck_s=0.05)) as bench, asyncio.timeout(20):
        bench.board.supply.drive(emf_v=3.0, resistance_ohm=0.01, clamp_a=0.1, connected=True)
        await bench.clock.sleep_until(100 * MS)
        assert words in bench.board.look()["crashed"]
