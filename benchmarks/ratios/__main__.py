"""`make bench`: measure every ratio, print them as a table and as JSON; it fails where one falls short of what is promised."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.ratios.blocks import block_reads
from benchmarks.ratios.board_time import board_time
from benchmarks.ratios.figures import Ratio
from benchmarks.ratios.jls_files import jls_files
from benchmarks.ratios.line_protocol import line_protocol
from benchmarks.ratios.live_path import live_path
from benchmarks.ratios.live_view import live_view
from benchmarks.ratios.one_pass import one_pass
from benchmarks.ratios.ppk2_stream import ppk2_stream
from benchmarks.ratios.sigrok_files import sigrok_files
from benchmarks.ratios.trace_writes import trace_writes
from benchmarks.ratios.trigger_jitter import table as jitter_table
from benchmarks.ratios.trigger_jitter import trigger_jitter
from benchmarks.ratios.window_sums import window_sums

VERSIONS = ("labd", "influxdb-client", "joulescope", "numpy", "ppk2-api", "pyarrow", "pyjls", "pyvisa", "pyvisa-py")
LONGEST_S = 600.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/bench.json"), help="the JSON file")
    out: Path = parser.parse_args().out
    began_s = time.monotonic()
    out.parent.mkdir(parents=True, exist_ok=True)
    ratios = block_reads() + ppk2_stream() + window_sums() + line_protocol()
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:  # the disk that a store beside it would have
        ratios += trace_writes(Path(folder))
        ratios += jls_files(Path(folder))
        recorded, lacking = sigrok_files(Path(folder))
        ratios += recorded + live_path(Path(folder))
        ratios += one_pass(Path(folder))
    ratios += live_view()
    ratios += asyncio.run(board_time())
    jitters, series = trigger_jitter()
    ratios += jitters
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table(ratios))
    console.print(jitter_table(series))
    out.write_text(json.dumps(document(ratios), indent=2) + "\n", encoding="utf-8")
    for text in lacking:
        print(f"not measured: {text}")
    print(f"{out} (docs/performance.md says what each line means)")
    took_s = time.monotonic() - began_s
    short = [f"{r.part}, {r.what}, against {r.against}: {r.ratio:.3g}, promised are {r.least:.3g}" for r in ratios if r.falls_short]
    if took_s > LONGEST_S:
        short.append(f"it took {took_s:.0f} s, promised are {LONGEST_S:g}")
    for text in short:
        print(f"FALLS SHORT: {text}")
    print(f"bench: {took_s:.0f} s; {len(ratios)} ratios; {f'{len(short)} fall short' if short else 'ok'}")
    return 1 if short else 0


def table(ratios: Sequence[Ratio]) -> Table:
    made = Table("what", "against", "", "times as fast", "promised", "smallest to largest", box=box.SIMPLE)
    part = ""
    for r in ratios:
        if r.part != part:
            made.add_row(f"[bold]{r.part}")
            part = r.part
        made.add_row(
            f"  {r.what}",
            r.against,
            r.kind,
            f"{r.ratio:.3g}",
            f"{r.least:.3g}" if r.least else "",
            f"{r.low:.3g} to {r.high:.3g} ({r.repeats})",
        )
    return made


def document(ratios: Sequence[Ratio]) -> dict[str, object]:
    """The JSON file. ratio: how many times as fast as `against`; low, high: of `repeats` repeats; least: what is promised."""
    machine = {"processor": platform.machine(), "system": platform.system(), "python": platform.python_version()}
    versions = {name: version(name) for name in VERSIONS}
    return {"machine": machine, "versions": versions, "ratios": [dataclasses.asdict(r) for r in ratios]}


if __name__ == "__main__":
    sys.exit(main())
