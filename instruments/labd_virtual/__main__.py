"""`python -m labd_virtual`: the bench process. Spec on stdin's first line, addresses on stdout's first line, ends with its parent."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from labd_virtual.bench import run_bench
from labd_virtual.control import serve_control
from labd_virtual.firmware_build import FirmwareError
from labd_virtual.spec import BenchSpec, SpecError, read_spec


def main() -> int:
    """Exit codes: 0 ended as asked, 1 failed, 2 bad spec."""
    arguments = _arguments()
    try:
        spec = read_spec(_first_line())
        asyncio.run(_run(spec, arguments))
    except SpecError as error:
        return _say(f"spec: {error}", 2)
    except (FirmwareError, OSError) as error:
        return _say(str(error), 1)
    except Exception as error:  # noqa: BLE001 - the edge of the process: one line, with where it happened
        place = traceback.extract_tb(error.__traceback__)[-1]
        return _say(f"internal error: {error!r} at {Path(place.filename).name}:{place.lineno}", 1)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="labd_virtual", description="A virtual bench; its JSON spec is the first line of stdin.")
    parser.add_argument(
        "--truth", type=Path, metavar="FILE", help="write the exact truth here and open the control channel's test requests"
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where compiled firmware is kept (default: the user's cache)")
    parser.add_argument("--detach", action="store_true", help="do not end when stdin does")
    return parser.parse_args()


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"labd_virtual: {text}\n")
    return code


def _first_line() -> str:
    """By descriptor: a buffered reader's lock, held by a thread that waits for the end, would stop the interpreter from ending."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return line.decode(errors="replace")


def _watch_stdin(loop: asyncio.AbstractEventLoop, end: asyncio.Event) -> None:
    def wait_for_end() -> None:
        try:
            while os.read(0, 4096):
                pass
            loop.call_soon_threadsafe(end.set)
        except (OSError, RuntimeError):
            return  # stdin or the loop is closed: it is ending anyway

    threading.Thread(target=wait_for_end, name="stdin", daemon=True).start()


async def _run(spec: BenchSpec, arguments: argparse.Namespace) -> None:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, end.set)
    if not arguments.detach:
        _watch_stdin(loop, end)
    open_truth = arguments.truth is not None
    async with (
        run_bench(spec, truth=arguments.truth, cache=arguments.cache) as bench,
        serve_control(bench, open_truth=open_truth, quit_event=end) as (host, port),
    ):
        addresses = {"control": [host, port], "instruments": bench.resources, "uart": bench.board.uart.path, "pid": os.getpid()}
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()
        await end.wait()


if __name__ == "__main__":
    sys.exit(main())
